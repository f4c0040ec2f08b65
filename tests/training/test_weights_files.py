# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of keeping the weights of a trained distribution."""

import numpy as np
import pytest
import tensorflow as tf

import tfp_ood

_SHAPE = [4, 4, 1]


def _glow(num_steps=2, hidden_channels=2, seed=1):
  return tfp_ood.distributions.glow(
    _SHAPE,
    num_levels=1,
    num_steps=num_steps,
    hidden_channels=hidden_channels,
    seed=[0, seed],
  )


def _images():
  return np.random.default_rng(0).integers(0, 256, [16, *_SHAPE], np.uint8)


@pytest.fixture(name='saved')
def _saved(tmp_path):
  flow = _glow()
  flow.initialize(_images())
  generator = np.random.default_rng(1)
  for variable in flow.trainable_variables:
    noise = generator.normal(0, 0.05, variable.shape)
    variable.assign_add(noise.astype(np.float32))
  path = str(tmp_path / 'folder' / 'weights')
  tfp_ood.training.save_weights(flow, path)
  return flow, path


def test_a_round_trip_restores_log_prob(saved):
  flow, path = saved
  other = _glow(seed=2)
  assert not other.is_initialized
  tfp_ood.training.load_weights(other, path)
  assert other.is_initialized
  for variable, expected in zip(other.variables, flow.variables, strict=True):
    np.testing.assert_array_equal(variable.numpy(), expected.numpy())
  np.testing.assert_array_equal(
    other.log_prob(_images()), flow.log_prob(_images())
  )
  np.testing.assert_array_equal(
    other.sample(2, seed=[1, 2]), flow.sample(2, seed=[1, 2])
  )


def test_saving_again_replaces(saved):
  flow, path = saved
  flow.trainable_variables[0].assign_add(
    tf.ones_like(flow.trainable_variables[0])
  )
  tfp_ood.training.save_weights(flow, path)
  other = _glow()
  tfp_ood.training.load_weights(other, path)
  np.testing.assert_array_equal(
    other.trainable_variables[0].numpy(), flow.trainable_variables[0].numpy()
  )


@pytest.mark.parametrize('keep', [0, 1, 0.1, 0.5, 0.9, -1])
@pytest.mark.parametrize('suffix', ['.index', '.data-00000-of-00001'])
def test_a_truncated_file_is_refused(saved, suffix, keep):
  _, path = saved
  with open(path + suffix, 'rb+') as file:
    size = len(file.read())
    # A number of bytes to keep, a share of them, or all but some.
    file.truncate(int(size * keep) if 0 < keep < 1 else keep % size)
  with pytest.raises(ValueError, match='absent, damaged or') as error:
    tfp_ood.training.load_weights(_glow(), path)
  assert path in str(error.value)


@pytest.mark.parametrize('place', [0.1, 0.5, 0.9])
def test_a_changed_byte_is_noticed(saved, place):
  _, path = saved
  with open(path + '.data-00000-of-00001', 'rb+') as file:
    content = bytearray(file.read())
    content[int(len(content) * place)] ^= 0xFF
    file.seek(0)
    file.write(content)
  with pytest.raises(ValueError, match='damaged'):
    tfp_ood.training.load_weights(_glow(), path)


@pytest.mark.parametrize('suffix', ['.index', '.data-00000-of-00001'])
def test_an_absent_file_is_named(saved, suffix, tmp_path):
  _, path = saved
  (tmp_path / 'folder' / f'weights{suffix}').unlink()
  with pytest.raises(ValueError, match='absent') as error:
    tfp_ood.training.load_weights(_glow(), path)
  assert path in str(error.value)


def test_an_absent_folder_is_named(tmp_path):
  path = str(tmp_path / 'nowhere' / 'weights')
  with pytest.raises(ValueError, match='absent') as error:
    tfp_ood.training.load_weights(_glow(), path)
  assert path in str(error.value)


@pytest.mark.parametrize(
  'other',
  [
    lambda: _glow(num_steps=3),
    lambda: _glow(hidden_channels=3),
    lambda: tfp_ood.distributions.constant_volume_glow(
      _SHAPE, num_levels=1, num_steps=2, hidden_channels=2, seed=[0, 1]
    ),
    lambda: tfp_ood.distributions.glow(
      _SHAPE, num_levels=2, num_steps=2, hidden_channels=2, seed=[0, 1]
    ),
  ],
  ids=['steps', 'channels', 'coupling', 'levels'],
)
def test_weights_of_another_model_are_refused(saved, other):
  _, path = saved
  with pytest.raises(ValueError, match='of another model'):
    tfp_ood.training.load_weights(other(), path)


def test_weights_of_a_smaller_model_are_refused(tmp_path):
  path = str(tmp_path / 'weights')
  small = tfp_ood.distributions.learned_normal([12])
  tfp_ood.training.save_weights(small, path)
  for size in (11, 13):
    with pytest.raises(ValueError, match='of another model'):
      tfp_ood.training.load_weights(
        tfp_ood.distributions.learned_normal([size]), path
      )
