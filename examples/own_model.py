# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Takes a model, a statistic and a score of one's own from training to report.

python examples/own_model.py
"""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood

tfb = tfp.bijectors
tfd = tfp.distributions


def low_rank_normal(image_shape, rank=16):
  """The model: any object with `log_prob` will do, here one of TFP's."""
  size = int(np.prod(image_shape))
  noise = tf.random.stateless_normal([size, rank], seed=[1, 2])
  vectors = tfd.MultivariateNormalDiagPlusLowRankCovariance(
    loc=tf.Variable(tf.fill([size], 128.0)),
    cov_diag_factor=tfp.util.TransformedVariable(400.0, tfb.Softplus())
    * tf.ones([size]),
    cov_perturb_factor=tf.Variable(10 * noise),
  )
  return tfd.TransformedDistribution(
    vectors, tfb.Reshape(image_shape), name='low_rank_normal'
  )


def total_variation(images):
  """The statistic: a function of a batch of images."""
  return tf.image.total_variation(tf.cast(images, tf.float32))


class UnusualVariation(tfp_ood.stats.Score):
  """The score: how far the total variation is from that of training images."""

  statistics = ('total_variation',)
  learned = ('mean', 'deviation')
  mean = deviation = None

  def fit(self, statistics):
    """Learns from statistics of training images, arrays by name."""
    self.mean = np.mean(statistics['total_variation'])
    self.deviation = np.std(statistics['total_variation'])
    return self

  def __call__(self, statistics):
    values = tf.convert_to_tensor(statistics['total_variation'])
    return tf.abs(values - self.mean) / self.deviation


photographs = tfp_ood.datasets.load('sample_photographs/train', shuffle=True)
held_out = tfp_ood.datasets.load('sample_photographs/test')
distribution = low_rank_normal([32, 32, 3])
model = tfp_ood.training.DistributionModel(distribution)
model.compile(tfp_ood.training.adam(0.1))
model.fit(photographs, epochs=2, verbose=2)

evaluation = tfp_ood.evaluation.evaluate(
  distribution,
  [tfp_ood.stats.NegativeLogLikelihood(), UnusualVariation()],
  in_distribution=held_out,
  out_of_distribution={'digits': tfp_ood.datasets.load('sample_digits/test')},
  training=photographs,
  statistics={'total_variation': total_variation},
)
print(evaluation.summary())
print(evaluation.write_report('outputs/own_model'))

detector = evaluation.detector('unusual_variation')
detector.export_saved_model('outputs/own_model/detector')
