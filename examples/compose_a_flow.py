# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Composes a flow of one's own from the library's parts and TFP's.

python examples/compose_a_flow.py
"""

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

import tfp_ood

tfb = tfp.bijectors
ood = tfp_ood.bijectors


def network(input_channels, output_channels):
  """Of tf_keras, Keras 3 or a tf.Module; its weights are found and trained."""
  return tf_keras.Sequential(
    [
      tf_keras.layers.Input([None, None, input_channels]),
      tf_keras.layers.Conv2D(32, 3, padding='same', activation='swish'),
      tf_keras.layers.Conv2D(
        output_channels, 3, padding='same', kernel_initializer='zeros'
      ),
    ]
  )


# Image to latent, a chain runs from its first part to its last.
flow = tfb.Chain(
  [
    tfb.Shift(0.1),
    ood.Squeeze(block_size=4),  # [32, 32, 3] to [8, 8, 48].
    ood.ActivationNormalization(48),
    ood.InvertibleConv1x1(48, seed=1),
    ood.AffineCoupling(network(24, 48)),
    ood.InvertibleConv1x1(48, seed=2),
    ood.AffineCoupling(network(24, 48)),
    tfb.Scale(0.5),
    tfb.Reshape(event_shape_in=[3072], event_shape_out=[8, 8, 48]),
  ]
)
distribution = tfp_ood.distributions.ImageFlow(flow, [32, 32, 3])

photographs = tfp_ood.datasets.load('sample_photographs/train', shuffle=True)
model = tfp_ood.training.DistributionModel(distribution)
model.compile(tfp_ood.training.adam(1e-3, warmup_steps=20))
model.fit(photographs, epochs=2, verbose=2)

# A distribution works inside a tf.data pipeline.
digits = tfp_ood.datasets.load('sample_digits/test', batch_size=100)
for log_prob in digits.map(lambda images, _: distribution.log_prob(images)):
  bits = tfp_ood.stats.bits_per_dim(log_prob, 32 * 32 * 3)
  print('digits:', tf.reduce_mean(bits).numpy(), 'bits/dim')
