# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that the package says of itself what is so."""

import importlib.resources
import pathlib
import re

import tfp_ood

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_version_is_the_newest_of_the_changelog_and_the_citation():
  changelog = (_ROOT / 'CHANGELOG.md').read_text('utf-8')
  version, date = re.search(
    r'^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$', changelog, re.MULTILINE
  ).groups()
  citation = (_ROOT / 'CITATION.cff').read_text('utf-8')
  assert version == tfp_ood.__version__
  assert f'\nversion: {version}\n' in citation
  assert f'\ndate-released: {date}\n' in citation


def test_what_is_no_module_is_in_the_package():
  # Where the package is installed, this is the installed one.
  assert importlib.resources.files('tfp_ood').joinpath('py.typed').is_file()
