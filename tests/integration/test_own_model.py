# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that a model, a score and a statistic of a user's go the way of ours.

Everything here is made of the public names, as a user's own files would be.
"""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from integration.python_runs import ROOT, run_python

import tfp_ood

tfd = tfp.distributions

_SHAPE = (8, 8, 1)
_PAGE = ROOT / 'docs' / 'add_a_model.md'


class RowModel(tfd.Distribution):
  """Rows of an image, each about the row above it."""

  def __init__(self, name='row_model'):
    parameters = dict(locals())
    self.scale = tfp.util.TransformedVariable(50.0, tfp.bijectors.Softplus())
    super().__init__(
      dtype=tf.float32,
      reparameterization_type=tfd.NOT_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=True,
      parameters=parameters,
      name=name,
    )

  def _event_shape(self):
    return tf.TensorShape(_SHAPE)

  @property
  def statistics_names(self):
    """Beyond the likelihood: `top`, that of the first row."""
    return ('log_prob', 'top')

  def statistics(self, images, names):
    """The statistics of some names."""
    above = tf.concat(
      [128 + 0 * images[..., :1, :, :], images[..., :-1, :, :]], axis=-3
    )
    rows = tfd.Normal(above, self.scale).log_prob(images)
    rows = tf.reduce_sum(rows, [-2, -1])
    values = {'log_prob': tf.reduce_sum(rows, -1), 'top': rows[..., 0]}
    return {name: values[name] for name in names}

  def _log_prob(self, images):
    return self.statistics(images, ['log_prob'])['log_prob']


class TopHeavy(tfp_ood.stats.Score):
  """How much less likely the first row is than the mean image has it."""

  statistics = ('top', 'range')
  learned = ('coefficients',)
  coefficients = None

  def fit(self, statistics):
    """Learns what the first row is like, given the range of the pixels."""
    self.coefficients = np.polyfit(statistics['range'], statistics['top'], 1)
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    slope, offset = map(float, self.coefficients)
    expected = slope * tf.convert_to_tensor(statistics['range']) + offset
    return expected - statistics['top']


def pixel_range(images):
  """The statistic of a user's own."""
  return tf.reduce_max(images, [1, 2, 3]) - tf.reduce_min(images, [1, 2, 3])


def _images(seed, size, spread):
  generator = np.random.default_rng(seed)
  rows = np.cumsum(generator.normal(0.0, spread, [size, *_SHAPE]), axis=1)
  return np.clip(128 + rows, 0, 255).astype(np.float32)


_TRAIN, _TEST = _images(0, 256, 12.0), _images(1, 60, 12.0)
_OUTSIDE = {'rough': _images(2, 40, 30.0), 'noise': _images(3, 30, 200.0)}
_SCORES = {
  'likelihood': tfp_ood.stats.NegativeLogLikelihood(),
  'top_heavy': TopHeavy(),
}


@pytest.fixture(scope='module', name='trained')
def _trained():
  distribution = RowModel()
  model = tfp_ood.training.DistributionModel(distribution)
  model.compile(tfp_ood.training.adam(2.0))
  model.fit(_TRAIN, epochs=10, batch_size=32, verbose=0)
  return distribution


def test_it_learns_by_keras(trained):
  # The rows were made with this spread.
  assert abs(float(tf.convert_to_tensor(trained.scale)) - 12.0) < 2.0


def test_it_keeps_what_the_rest_relies_on():
  tfp_ood.testing.check_model(RowModel(), _TEST[:8])
  top = np.linspace(-80, -10, 9).astype(np.float32)
  values = {'top': top, 'range': top[::-1] ** 2}
  tfp_ood.testing.check_score(TopHeavy(), values)


def test_it_is_evaluated_reported_kept_and_exported(trained, tmp_path):
  evaluation = tfp_ood.evaluation.evaluate(
    trained,
    _SCORES,
    in_distribution=_TEST,
    out_of_distribution=_OUTSIDE,
    training=_TRAIN,
    statistics={'range': pixel_range},
    keep=('top',),
    folder=tmp_path / 'statistics',
    verbose=0,
  )
  results = evaluation.results()
  for name in _SCORES:
    assert evaluation.aurocs()[name]['noise'].auroc > 0.9

  page = evaluation.write_report(tmp_path)
  text = pathlib.Path(page).read_text('utf-8')
  for word in ('top heavy', 'rough', 'noise', '<img '):
    assert word in text

  evaluation.save(tmp_path)
  again = tfp_ood.evaluation.Evaluation.load(tmp_path)
  assert again.results() == results
  assert again.summary() == evaluation.summary()

  detector = evaluation.detector('top_heavy')
  p_values = detector.p_value(_OUTSIDE['rough'])
  detector.save(tmp_path / 'detector.npz')
  restored = tfp_ood.stats.Detector(
    RowModel(), TopHeavy(), statistics={'range': pixel_range}
  )
  restored.load(tmp_path / 'detector.npz')
  np.testing.assert_array_equal(restored.p_value(_OUTSIDE['rough']), p_values)

  detector.export_saved_model(tmp_path / 'exported')
  exported = tf.saved_model.load(str(tmp_path / 'exported'))
  np.testing.assert_array_equal(exported.p_value(_OUTSIDE['rough']), p_values)
  with pytest.raises(tf.errors.InvalidArgumentError, match='finite|NaN'):
    exported.p_value(_OUTSIDE['rough'] * np.nan)


def test_a_detector_alone_is_calibrated(trained):
  detector = tfp_ood.stats.Detector(
    trained, TopHeavy(), statistics={'range': pixel_range}
  )
  detector.fit(_TEST, training=_TRAIN)
  assert np.mean(detector.p_value(_images(4, 200, 12.0)) <= 0.1) < 0.2
  assert np.mean(detector.p_value(_OUTSIDE['noise']) <= 0.1) > 0.8


@pytest.mark.slow
def test_a_pixel_cnn_of_tfp_is_evaluated(tmp_path):
  model = tfd.PixelCNN(
    (6, 6, 1),
    num_resnet=1,
    num_hierarchies=1,
    num_filters=2,
    num_logistic_mix=1,
    dropout_p=0.0,
  )
  generator = np.random.default_rng(0)
  inside, outside = (
    generator.integers(low, 256, [16, 6, 6, 1]).astype(np.float32)
    for low in (0, 200)
  )
  evaluation = tfp_ood.evaluation.evaluate(
    model,
    [tfp_ood.stats.NegativeLogLikelihood(), tfp_ood.stats.Typicality()],
    in_distribution=inside,
    out_of_distribution={'bright': outside},
    training=generator.integers(0, 256, [16, 6, 6, 1]).astype(np.float32),
    verbose=0,
  )
  scores = evaluation.scores['negative_log_likelihood']
  np.testing.assert_allclose(
    scores['bright'], -model.log_prob(outside), rtol=1e-4
  )
  assert 'bright' in pathlib.Path(evaluation.write_report(tmp_path)).read_text()


@pytest.mark.slow
def test_the_page_on_adding_a_model_needs_no_other_file(tmp_path):
  """A model family is added as the page says, in a folder of its own."""
  blocks = _PAGE.read_text('utf-8').split('```python\n')[1:]
  script = tmp_path / 'brightness_model.py'
  script.write_text('\n'.join(block.split('```')[0] for block in blocks))
  process = run_python([script], tmp_path)
  assert process.returncode == 0, process.stderr[-4000:]
  assert 'relative_variation' in process.stdout
  folder = tmp_path / 'outputs' / 'brightness_model'
  evaluation = tfp_ood.evaluation.Evaluation.load(folder)
  assert set(evaluation.scores) == {
    'likelihood',
    'relative_variation',
    'states',
  }
  page = (folder / 'report.html').read_text('utf-8')
  assert 'relative variation' in page and 'digits' in page
  detector = tf.saved_model.load(str(folder / 'detector'))
  images, _ = next(iter(tfp_ood.datasets.load('sample_digits/test[:20]')))
  assert detector.p_value(images).shape == [20]
  # No table of the library has learned the model's name.
  for path in (ROOT / 'tfp_ood').rglob('*.py'):
    assert 'BrightnessModel' not in path.read_text('utf-8'), path
