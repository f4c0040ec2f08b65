# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Speed of alibi-detect's PixelCNN, for pixel_cnn.py, in an environment of its own.

  pip install 'alibi-detect[tensorflow]'  # There, and tf-keras.
  python benchmarks/pixel_cnn.py --alibi_python=PATH_OF_ITS_PYTHON

It needs an older TensorFlow than this library, and so an optimizer of tf_keras. The
architecture and the measurements are otherwise those of pixel_cnn.py, which reads the last
line of the output.
"""

import argparse
import json
import os
import resource
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ['TF_USE_LEGACY_KERAS'] = '1'

import numpy as np
import passes
import tensorflow as tf
import tf_keras
from alibi_detect.models.tensorflow import PixelCNN

_SHAPE = (28, 28, 1)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--batch_size', type=int, required=True)
  parser.add_argument('--num_blocks', type=int, required=True)
  parser.add_argument('--repeats', type=int, required=True)
  arguments = parser.parse_args()
  images = tf.constant(
    np.random.default_rng(0).integers(0, 256, [arguments.batch_size, *_SHAPE]),
    tf.float32,
  )
  start = time.perf_counter()
  model = PixelCNN(
    _SHAPE,
    num_resnet=arguments.num_blocks,
    num_hierarchies=2,
    num_filters=32,
    num_logistic_mix=1,
    dropout_p=0.0,
  )
  # It makes its weights at the first call.
  model.log_prob(tf.zeros([1, *_SHAPE]))
  variables = list(model.trainable_variables)
  optimizer = tf_keras.optimizers.Adam(1e-3)
  optimizer.build(variables)

  @tf.function(autograph=False)
  def step(images):
    with tf.GradientTape() as tape:
      loss = -tf.reduce_mean(model.log_prob(images))
    optimizer.apply_gradients(
      zip(tape.gradient(loss, variables), variables, strict=True)
    )

  step(images)
  first_gradient = time.perf_counter() - start
  log_prob = tf.function(model.log_prob, autograph=False)
  found = {
    'first_gradient_seconds': first_gradient,
    'training_images_per_second': passes.images_per_second(
      lambda: step(images), arguments.repeats, arguments.batch_size
    ),
    'log_prob_images_per_second': passes.images_per_second(
      lambda: log_prob(images), arguments.repeats, arguments.batch_size
    ),
    'peak_gibibytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    / 2**20,
  }
  print(json.dumps(found))


if __name__ == '__main__':
  main()
