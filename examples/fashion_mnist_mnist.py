# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a model on Fashion-MNIST and asks how it likes handwritten digits.

The second experiment of "Do Deep Generative Models Know What They Don't Know?",
on gray images of 28 x 28: a Glow trained on clothes gives MNIST's digits higher
likelihoods. The flags are those of cifar_svhn.py:

  python examples/fashion_mnist_mnist.py --data_dir=PATH
  python examples/fashion_mnist_mnist.py --data_dir=PATH \\
    --in_distribution=mnist --out_of_distribution=fashion_mnist

And whether the decoder of a variational autoencoder decides it, each in a folder
of its own; the categorical one takes several times as long:

  python examples/fashion_mnist_mnist.py --data_dir=PATH --model=vae \\
    --decoder=gaussian --output_dir=outputs/gaussian
  python examples/fashion_mnist_mnist.py --data_dir=PATH --model=vae \\
    --decoder=categorical --output_dir=outputs/categorical

Writes results.json, report.html, the exported model and a calibrated detector
to --output_dir. The same command again resumes a run that was interrupted.
"""

import experiment
from absl import app, flags

_DATA = {
  'tfds': ('fashion_mnist', ['mnist']),
  'sample': ('sample_digits', ['sample_photographs']),
}


def main(argv):
  experiment.main(argv, _DATA)


if __name__ == '__main__':
  flags.adopt_module_key_flags(experiment)
  app.run(main)
