# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a model on genomes of bacteria and asks how it likes those of others.

The experiment of "Likelihood Ratios for Out-of-Distribution Detection": an
autoregressive model of reads, its ratio to a model of mutated reads, and what
classifiers of the reads say.

  python examples/genomes.py --data_dir=PATH

PATH has three folders of FASTA files, one for each genome: in_distribution, to train
and to test on, by position; ood_validation, to choose the rate of mutation by; and
ood_test, to be reported. Writes results.json and report.html to --output_dir. The same
command again resumes a run that was interrupted.
"""

import os
import sys

# Quiet TensorFlow's start-up, unless the user asked for more.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import setting_flags
from absl import app, flags, logging

import tfp_ood

_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder of the three folders.', required=True
)
_PRESET = flags.DEFINE_enum(
  'preset',
  'small',
  tfp_ood.recipes.PRESETS,
  'Size of the models and length of their training.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Default: outputs/genomes_PRESET.'
)
_SETTINGS = setting_flags.define({'genomes': tfp_ood.recipes.GENOME_SETTINGS})
# What --help lists.
flags.adopt_module_key_flags(setting_flags)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  # TensorFlow reports every file that it writes.
  logging.set_verbosity(logging.WARNING)
  folder = _OUTPUT_DIR.value or os.path.join(
    'outputs', f'genomes_{_PRESET.value}'
  )
  parts = ('in_distribution', 'ood_validation', 'ood_test')
  try:
    run = tfp_ood.recipes.GenomeRun(
      folder,
      *(os.path.join(_DATA_DIR.value, part) for part in parts),
      preset=_PRESET.value,
      settings={name: flags.FLAGS[name].value for name in _SETTINGS},
    )
    evaluation = run.run(
      {
        'command': ' '.join(['python', *sys.argv]),
        'versions': setting_flags.versions(),
      }
    )
  except tfp_ood.training.OtherSettingsError as error:
    raise app.UsageError(f'{error} (The folder is --output_dir.)') from error
  except tfp_ood.recipes.SettingError as error:
    raise app.UsageError(str(error)) from error
  print(evaluation.summary())
  print(f'Report: {os.path.join(folder, "report.html")}')


if __name__ == '__main__':
  app.run(main)
