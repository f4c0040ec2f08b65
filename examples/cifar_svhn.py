# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a flow on CIFAR-10 and asks how it likes house numbers.

The experiment of "Do Deep Generative Models Know What They Don't Know?": a Glow
trained on CIFAR-10 gives SVHN, and constant images, higher likelihoods than the
images it was trained on; and what other scores make of it. Without any
download, in minutes:

  python examples/cifar_svhn.py --data=sample

On the real data sets, for half an hour, and with the scores that need more
models:

  python examples/cifar_svhn.py --data_dir=PATH --preset=small
  python examples/cifar_svhn.py --data_dir=PATH --preset=small \\
    --scores=typicality,input_complexity,likelihood_ratio,waic

Writes results.json, report.html, the exported model and a calibrated detector
to --output_dir. The same command again resumes a run that was interrupted.
"""

import flow_experiment
from absl import app, flags

_DATA = {
  'tfds': ('cifar10', ['svhn_cropped']),
  'sample': ('sample_photographs', ['sample_digits']),
}


def main(argv):
  flow_experiment.main(argv, _DATA)


if __name__ == '__main__':
  flags.adopt_module_key_flags(flow_experiment)
  app.run(main)
