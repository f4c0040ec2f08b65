# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the default score, with and without a classifier."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import distributions, networks, stats

tfd = tfp.distributions
_SHAPE = [8, 8, 3]


@pytest.fixture(scope='module')
def images():
  # Smooth, so that compression has something to find.
  noise = tf.random.stateless_normal([400, 2, 2, 3], [1, 2], 128.0, 60.0)
  smooth = tf.image.resize(noise, _SHAPE[:2])
  return np.clip(np.round(smooth), 0, 255).astype(np.uint8)


def _flow(images, make=distributions.glow):
  flow = make(_SHAPE, num_levels=1, num_steps=2, hidden_channels=4, seed=1)
  flow.initialize(images)
  for variable in flow.trainable_variables:
    noise = tf.random.stateless_normal(variable.shape, [1, 2], stddev=0.05)
    variable.assign_add(noise)
  return flow


def _classifier():
  return networks.ImageClassifier(networks.small_resnet(_SHAPE, width=0.1))


def test_it_reads_what_the_kind_of_model_can_say(images):
  def names(model):
    return stats.default_score(model).statistics

  of_any = ('png_bits_per_dim', 'score_norm')
  assert names(_flow(images)) == ('density', 'volume', *of_any)
  assert names(tfd.Sample(tfd.Normal(0.0, 1.0), _SHAPE)) == (
    'log_prob',
    *of_any,
  )
  # No image, and no gradient.
  tokens = tfd.Sample(tfd.Categorical(logits=tf.zeros([5])), [7])
  assert names(tokens) == ('log_prob',)


@pytest.mark.slow
def test_a_detector_takes_it(images):
  flow = _flow(images)
  detector = stats.Detector(flow).fit(images[:100], training=images[100:])
  expected = stats.Detector(flow, stats.default_score(flow))
  expected.fit(images[:100], training=images[100:])
  np.testing.assert_array_equal(
    detector.score(images[:5]), expected.score(images[:5])
  )
  gray = np.full([1, *_SHAPE], 128, np.uint8)
  assert detector.p_value(gray)[0] <= 0.05


def test_a_constant_volume_is_left_out(images):
  flow = _flow(images, distributions.constant_volume_glow)
  score = stats.default_score(flow)
  statistics = stats.Statistics(flow)
  values = statistics(images, score.statistics)
  values = {name: value.numpy() for name, value in values.items()}
  score.fit(values)
  rest = stats.DensityOfStates(
    [name for name in score.statistics if name != 'volume'], 'kde'
  )
  rest.fit({name: values[name] for name in rest.statistics})
  np.testing.assert_allclose(score(values), rest(values), rtol=1e-6)


@pytest.mark.slow
def test_with_a_classifier_it_adds_up_three_views(images):
  flow, classifier = _flow(images), _classifier()
  detector = stats.Detector(flow, classifier=classifier)
  detector.fit(images[:150], training=images[150:])
  score = stats.default_score(flow, classifier)
  statistics = stats.Statistics(flow, classifier=classifier)
  names = score.statistics
  assert {'density', 'classifier_logits', 'classifier_features'} <= set(names)
  score.fit({k: v.numpy() for k, v in statistics(images[150:], names).items()})
  np.testing.assert_allclose(
    detector.score(images[:20]),
    score(statistics(images[:20], names)),
    rtol=1e-5,
  )


def test_statistics_of_a_classifier_run_once(images):
  class Counting(networks.ImageClassifier):
    calls = 0

    def statistics(self, images, names):
      Counting.calls += 1
      return super().statistics(images, names)

  classifier = Counting(networks.small_resnet(_SHAPE, width=0.1))
  statistics = stats.Statistics(_flow(images), classifier=classifier)
  values = statistics(images[:3], ['classifier_logits', 'classifier_features'])
  assert Counting.calls == 1
  own = classifier.statistics(images[:3], ['logits'])
  np.testing.assert_allclose(
    values['classifier_logits'], own['logits'], rtol=1e-4, atol=1e-6
  )
  assert classifier in statistics.models


def test_a_classifier_must_have_statistics(images):
  flow = _flow(images)
  network = networks.small_resnet(_SHAPE, width=0.1)
  with pytest.raises(TypeError, match='ImageClassifier'):
    stats.Detector(flow, classifier=network)
  with pytest.raises(ValueError, match='needs the argument `classifier`'):
    stats.Detector(flow, stats.Energy(statistic='classifier_logits'))

  class LogitsAlone(networks.ImageClassifier):
    statistics_names = ('logits',)

  with pytest.raises(ValueError, match='classifier_features'):
    stats.default_score(flow, LogitsAlone(network))


# The tutorial detect_in_a_pipeline tests the export, too.
@pytest.mark.exhaustive
def test_exported_it_needs_tensorflow_alone(images, tmp_path):
  flow, classifier = _flow(images), _classifier()
  detector = stats.Detector(flow, classifier=classifier)
  detector.fit(images[:150], training=images[150:])
  path = str(tmp_path / 'detector')
  detector.export_saved_model(path)
  np.save(tmp_path / 'images.npy', images[:7])
  script = (
    'import sys, numpy as np, tensorflow as tf\n'
    f'detector = tf.saved_model.load({path!r})\n'
    f'images = np.load({str(tmp_path / "images.npy")!r})\n'
    'assert "tfp_ood" not in sys.modules\n'
    f'np.save({str(tmp_path / "scores.npy")!r}, detector.score(images))\n'
  )
  subprocess.run([sys.executable, '-c', script], check=True, timeout=300)
  # Densities of about -1,000 nats are exact to 1.2e-4 in float32, and another graph
  # may round them to the number beside.
  np.testing.assert_allclose(
    np.load(tmp_path / 'scores.npy'), detector.score(images[:7]), rtol=1e-4
  )


def test_saved_it_is_loaded(images, tmp_path):
  flow, classifier = _flow(images), _classifier()
  detector = stats.Detector(flow, classifier=classifier)
  detector.fit(images[:150], training=images[150:])
  again = stats.Detector(flow, classifier=classifier)
  detector.save(tmp_path / 'detector.npz')
  again.load(tmp_path / 'detector.npz')
  np.testing.assert_array_equal(
    again.p_value(images[:7]), detector.p_value(images[:7])
  )
