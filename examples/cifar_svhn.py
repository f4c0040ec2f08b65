# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a model on CIFAR-10 and asks how it likes house numbers.

The experiment of "Do Deep Generative Models Know What They Don't Know?": a Glow
trained on CIFAR-10 gives SVHN, and constant images, higher likelihoods than the
images it was trained on; and what other scores make of it. Without any
download, in minutes, and with the paper's analysis of second moments:

  python examples/cifar_svhn.py --data=sample
  python examples/cifar_svhn.py --data=sample --second_order

On the real data sets, for half an hour, and with the scores that need more
models:

  python examples/cifar_svhn.py --data_dir=PATH --preset=small
  python examples/cifar_svhn.py --data_dir=PATH --preset=small \\
    --scores=typicality,input_complexity,likelihood_ratio,waic

And that of "Out-of-Distribution Detection Using Neural Rendering Generative
Models": a classifier trained to render its images too, and the likelihood of
its latent variables.

  python examples/cifar_svhn.py --data=sample --model=nrm
  python examples/cifar_svhn.py --data_dir=PATH --model=nrm --num_runs=3

And those of "Likelihood Regret" and of Chen's thesis on deep generative models
and out-of-distribution detection: autoencoders, the components of their bound,
likelihood regret, batch normalization that is adapted to the images, and the
latent space.

  python examples/cifar_svhn.py --data=sample --model=vae
  python examples/cifar_svhn.py --data_dir=PATH --model=beta_vae --beta=10

Writes results.json, report.html and a calibrated detector to --output_dir. The
same command again resumes a run that was interrupted.
"""

import experiment
from absl import app, flags

_DATA = {
  'tfds': ('cifar10', ['svhn_cropped', 'fashion_mnist']),
  'sample': ('sample_photographs', ['sample_digits']),
}


def main(argv):
  experiment.main(argv, _DATA)


if __name__ == '__main__':
  flags.adopt_module_key_flags(experiment)
  app.run(main)
