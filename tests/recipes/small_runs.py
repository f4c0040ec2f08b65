# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small runs of recipes, on bundled data, and what all of them must hold."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import evaluation, recipes, reporting

__all__ = [
  'IN',
  'OUT',
  'TRAIN',
  'check_files',
  'check_saved_model',
  'pairs_in_order',
  'small_run',
]

IN, TRAIN, OUT = (
  'sample_photographs test',
  'sample_photographs train',
  'sample_digits test',
)


def small_run(folder, model, settings, **kwargs):
  """Returns a run of one of the library's recipes."""
  return recipes.Run(
    recipes.RECIPES[model],
    str(folder),
    'sample_photographs',
    ['sample_digits'],
    settings=settings,
    **{
      'preset': 'tiny',
      'num_evaluated': 40,
      'train_split': 'train[:256]',
      'name': model,
      **kwargs,
    },
  )


def pairs_in_order(inside, outside):
  """The AUROC by its definition."""
  outside = outside[:, np.newaxis]
  return (outside > inside).mean() + 0.5 * (outside == inside).mean()


def check_saved_model(folder, found, name):
  """Checks that the exported model of a run says what the evaluation has."""
  model = tf.saved_model.load(str(folder / 'saved_model'))
  (images, *_) = small_run(folder, name, None).datasets[OUT]
  log_prob = found.statistics[OUT]['log_prob']
  np.testing.assert_allclose(
    model.log_prob(images[0]), log_prob[: len(images[0])], rtol=1e-4
  )


def check_files(folder, found, detector_score, figures, atol):
  """Checks results, report, detector and what was kept of an evaluation."""
  results = reporting.read_results(folder / 'results.json')
  for score, aurocs in found.aurocs().items():
    for name, auroc in aurocs.items():
      values = found.scores[score]
      assert auroc.auroc == pytest.approx(
        pairs_in_order(values[found.in_distribution], values[name])
      )
      assert results['auroc'][score][name] == pytest.approx(auroc._asdict())
  loaded = evaluation.Evaluation.load(folder)
  assert loaded.results() == found.results()
  drawn = {path.stem for path in (folder / 'figures').iterdir()}
  assert drawn >= set(figures)
  page = (folder / 'report.html').read_text('utf-8')
  assert page.count('<img ') == len(drawn)
  detector = tf.saved_model.load(str(folder / 'detector'))
  run = small_run(folder, results['configuration']['model'], None)
  (first, *_) = run.datasets[OUT].unbatch().batch(20)
  np.testing.assert_allclose(
    detector.score(first[0]),
    found.scores[detector_score][OUT][:20],
    rtol=1e-3,
    atol=atol,
  )
