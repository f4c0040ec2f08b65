# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets._split_expressions."""

import pytest

from tfp_ood.datasets import _split_expressions


@pytest.mark.parametrize(
  'name, split, expected',
  [
    ('mnist/test', None, ('mnist', 'test')),
    ('mnist', 'test', ('mnist', 'test')),
    ('mnist:3.0.1/test', None, ('mnist:3.0.1', 'test')),
    ('mnist/train+test[:9%]', None, ('mnist', 'train+test[:9%]')),
    ('imagenet_resized/32x32', 'train', ('imagenet_resized/32x32', 'train')),
    (
      'imagenet_resized/32x32/validation[:1000]',
      None,
      ('imagenet_resized/32x32', 'validation[:1000]'),
    ),
    (
      'imagenet_resized/32x32:0.1.0',
      'train',
      ('imagenet_resized/32x32:0.1.0', 'train'),
    ),
    ('imagenet_resized/train', None, ('imagenet_resized', 'train')),
    ('sample_digits/test[:1]', None, ('sample_digits', 'test[:1]')),
  ],
)
def test_name_and_split(name, split, expected):
  assert _split_expressions.parse_name(name, split) == expected


@pytest.mark.parametrize('name', ['mnist', 'imagenet_resized/32x32'])
def test_no_split(name):
  with pytest.raises(ValueError, match=f"No split is given for '{name}'"):
    _split_expressions.parse_name(name)


def test_two_splits():
  with pytest.raises(ValueError, match='split is given twice.*Keep one'):
    _split_expressions.parse_name('mnist/test', 'train')


@pytest.mark.parametrize(
  'split, expected',
  [
    ('test', [('test', 0, 50)]),
    ('train[:80%]', [('train', 0, 160)]),
    ('train[10:20]', [('train', 10, 20)]),
    ('train[-10:]', [('train', 190, 200)]),
    ('test[5:]+train[:5]', [('test', 5, 50), ('train', 0, 5)]),
    ('all', [('train', 0, 200), ('test', 0, 50)]),
  ],
)
def test_slices(split, expected):
  slices = _split_expressions.selected_slices(
    'data', split, {'train': 200, 'test': 50}
  )
  assert [(name, part.start, part.stop) for name, part in slices] == expected


@pytest.mark.parametrize(
  'split, reason',
  [
    ('validation', "Unknown split 'validation'"),
    ('test[:10', 'Unrecognized split format'),
    ('test[a:b]', 'Unrecognized split format'),
    ('', 'Unrecognized split format'),
    ('test[7]', 'only support slice syntax'),
    ('all[:10]', 'does not support slice'),
    ('test[:51]', 'incompatible with 50 examples'),
    ('test[:101%]', 'slice boundaries'),
    ('test[20:10]', 'selects no examples'),
    ('test[:0]', 'selects no examples'),
  ],
)
def test_wrong_expression(split, reason):
  with pytest.raises(ValueError) as caught:
    _split_expressions.selected_slices('data', split, {'train': 9, 'test': 50})
  message = str(caught.value)
  assert message.startswith(f"Split {split!r} of data set 'data'")
  assert reason in message
  assert message.endswith(
    'Splits available: train (9 examples), test (50 examples).'
  )
