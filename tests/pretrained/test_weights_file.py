# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of files of weights."""

import os
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from integration.python_runs import run_python

from tfp_ood import distributions, networks, pretrained
from tfp_ood._arrays import read_arrays, write_arrays

_ARGUMENTS = {
  'image_shape': [8, 8, 1],
  'num_levels': 1,
  'num_steps': 2,
  'hidden_channels': 4,
}
_IMAGES = np.random.default_rng(0).integers(0, 256, [16, 8, 8, 1], np.uint8)


def _trained_flow(arguments, stddev=0.05):
  flow = distributions.glow(**arguments, seed=3)
  flow.initialize(_IMAGES)
  for variable in flow.trainable_variables:
    noise = tf.random.stateless_normal(variable.shape, [1, 2], stddev=stddev)
    variable.assign_add(noise)
  return flow


@pytest.fixture(scope='module')
def flow():
  return _trained_flow(_ARGUMENTS)


@pytest.fixture(scope='module')
def path(flow, tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'flow.npz'
  pretrained.write_weights(path, flow, 'glow', _ARGUMENTS, {'steps': 7})
  return path


def _changed(path, folder, **changes):
  """A copy of a file with other entries."""
  changed = folder / 'changed.npz'
  write_arrays(changed, read_arrays(path) | changes)
  return changed


def test_a_model_comes_back(flow, path):
  again = distributions.glow(weights=path)
  assert again.is_initialized
  np.testing.assert_array_equal(again.log_prob(_IMAGES), flow.log_prob(_IMAGES))
  same = pretrained.load_model(str(path), name='mine')
  assert same.name == 'mine'
  np.testing.assert_array_equal(same.log_prob(_IMAGES), flow.log_prob(_IMAGES))


def test_the_name_of_a_file_may_begin_like_that_of_bundled_weights(
  flow, path, tmp_path, monkeypatch
):
  (tmp_path / 'glow_mine.npz').write_bytes(path.read_bytes())
  monkeypatch.chdir(tmp_path)
  again = pretrained.load_model('glow_mine.npz')
  np.testing.assert_array_equal(again.log_prob(_IMAGES), flow.log_prob(_IMAGES))


@pytest.mark.slow
def test_a_model_is_made_where_nothing_else_was_imported(path, tmp_path):
  script = (
    'import sys\n'
    'from tfp_ood.pretrained import load_model\n'
    'assert "tfp_ood.distributions" not in sys.modules\n'
    'print(load_model(sys.argv[1]).name)\n'
  )
  result = run_python(['-c', script, path], tmp_path)
  assert result.stdout == 'glow\n', result.stderr[-4000:]


def test_the_file_says_what_it_is(path):
  file = pretrained.read_weights(path)
  assert file.kind == 'glow'
  assert file.arguments == _ARGUMENTS
  assert file.information == {'steps': 7}
  # NumPy reads it without unpickling anything.
  with np.load(path, allow_pickle=False) as arrays:
    assert all(arrays[name].dtype != object for name in arrays.files)


def test_half_precision_halves_large_arrays_and_nothing_else(tmp_path):
  arguments = _ARGUMENTS | {'hidden_channels': 160}
  flow = _trained_flow(arguments, stddev=0.01)
  path = tmp_path / 'half.npz'
  pretrained.write_weights(path, flow, 'glow', arguments, half_precision=True)
  values = pretrained.read_weights(path).values
  assert sum(value.dtype == np.float16 for value in values) == 1
  for variable, value in zip(flow.variables, values, strict=True):
    if variable.dtype == tf.float32 and value.size >= 32_768:
      assert value.dtype == np.float16
    else:
      assert value.dtype == variable.dtype.as_numpy_dtype
    np.testing.assert_allclose(value, variable.numpy(), rtol=1e-3, atol=1e-6)
  again = distributions.glow(weights=path)
  assert {v.dtype for v in again.trainable_variables} == {tf.float32}
  difference = again.log_prob(_IMAGES) - flow.log_prob(_IMAGES)
  assert 0 < np.max(np.abs(difference)) / (64 * np.log(2)) < 0.001


def test_arguments_that_decide_no_variable_may_be_given(path, flow):
  # In double precision, nothing is lost on the way.
  again = distributions.glow(weights=path, recompute=False, dtype=tf.float64)
  np.testing.assert_allclose(
    again.log_prob(_IMAGES), flow.log_prob(_IMAGES), rtol=1e-3
  )
  assert distributions.glow([8, 8, 1], weights=path).event_shape == [8, 8, 1]


def test_an_argument_that_contradicts_the_file_is_refused(path):
  with pytest.raises(ValueError, match=r'num_steps=2, got 3.*Leave it out'):
    distributions.glow(weights=path, num_steps=3)
  with pytest.raises(ValueError, match='image_shape'):
    distributions.glow((16, 16, 1), weights=path)
  with pytest.raises(ValueError, match='do not fit'):
    distributions.glow(weights=path, coupling='additive')


def test_weights_of_another_model_are_refused(path):
  with pytest.raises(ValueError, match='weights of glow, which cannot be'):
    networks.small_resnet(weights=path)


def test_an_unknown_name_is_answered_by_those_that_there_are():
  with pytest.raises(ValueError, match=r"'cifar11' of glow.*cifar10"):
    distributions.glow(weights='cifar11')
  with pytest.raises(ValueError, match=r"'glow_cifar11'. .*glow_cifar10"):
    pretrained.load_model('glow_cifar11')
  with pytest.raises(FileNotFoundError):
    distributions.glow(weights='nowhere.npz')


def test_a_kind_that_nothing_makes_is_named(flow, tmp_path):
  path = tmp_path / 'weights.npz'
  pretrained.write_weights(path, flow, 'glows', {})
  with pytest.raises(ValueError, match="kind 'glows'; there are: "):
    pretrained.load_model(path)


def test_a_flipped_byte_changes_nothing_or_is_found(path, tmp_path):
  content, damaged = path.read_bytes(), tmp_path / 'damaged.npz'
  intact, num_found = pretrained.read_weights(path), 0
  positions = np.linspace(0, len(content) - 1, 60).astype(int)
  for position in positions:
    changed = bytearray(content)
    changed[position] ^= 0xFF
    damaged.write_bytes(changed)
    try:
      found = pretrained.read_weights(damaged)
    except ValueError as error:
      assert 'damaged.npz' in str(error)
      num_found += 1
    else:  # A date of the archive, say.
      assert found[:3] == intact[:3]
      for value, expected in zip(found.values, intact.values, strict=True):
        np.testing.assert_array_equal(value, expected)
  assert num_found > 20


def test_a_file_that_is_cut_short_is_found(path, tmp_path):
  damaged = tmp_path / 'damaged.npz'
  damaged.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(ValueError, match='not a whole file'):
    pretrained.read_weights(damaged)


@pytest.mark.parametrize('entry', ['kind', 'arguments', 'variables/3'])
def test_other_content_is_found_by_the_digest(path, tmp_path, entry):
  value = read_arrays(path)[entry]
  other = str(value) + ' ' if value.dtype.kind == 'U' else value + 1
  with pytest.raises(ValueError, match='digest'):
    pretrained.read_weights(_changed(path, tmp_path, **{entry: other}))


def test_a_foreign_file_is_told(tmp_path):
  path = tmp_path / 'foreign.npz'
  np.savez(path, weights=np.zeros(3))
  with pytest.raises(ValueError, match='no file of weights'):
    pretrained.read_weights(path)
  path.write_text('no archive')
  with pytest.raises(ValueError, match='not a whole file'):
    pretrained.read_weights(path)


@pytest.mark.parametrize('value, half', [(np.nan, False), (1e6, True)])
def test_what_a_file_cannot_hold_is_refused(tmp_path, value, half):
  model = tf.Module()
  model.kernel = tf.Variable(np.full([256, 256], value, np.float32))
  path = tmp_path / 'weights.npz'
  with pytest.raises(ValueError, match='kernel|Variable'):
    pretrained.write_weights(path, model, 'model', {}, half_precision=half)
  assert not os.path.exists(path)


def test_a_function_joins_by_being_decorated(tmp_path):
  @pretrained.with_weights
  def normal(size, scale=1.0, **kwargs):
    del scale
    return distributions.learned_normal([size], **kwargs)

  try:
    assert 'weights' in str(pretrained.factories.inspect.signature(normal))
    assert pretrained.factory('normal') is normal
    with pytest.raises(TypeError, match='size'):
      normal()
  finally:
    del pretrained.factories._FACTORIES['normal']


def test_bundled_weights_are_small_and_whole():
  names = pretrained.available()
  folder = os.path.dirname(pretrained.__file__)
  sizes = [os.path.getsize(os.path.join(folder, f'{n}.npz')) for n in names]
  assert 0 < sum(sizes) < 25e6
  for name in names:
    file = pretrained.read_weights(name)
    assert name == f'{file.kind}_{file.information["dataset"]}'
    path = os.path.join(folder, f'{name}.npz')
    assert zipfile.ZipFile(path).testzip() is None
