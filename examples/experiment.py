# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The experiment behind the example scripts: train a model, score data sets.

Each script names its data sets and calls `main`. What is a family's own, how its
models are configured, trained, evaluated and reported, is in modules of its
name: `flow_*`, `rendering_*`, `vae_*`. The folder of any run holds

  configuration.json            what decides the model
  statistics/                   of each data set, image by image
  scores.npz, results.json, report.html, figures/     what came out
  detector/                     for programs with only TensorFlow

and the family's weights. A run that was interrupted goes on when its command is
given again.
"""

import os
import sys
import time

# Quiet TensorFlow's start-up, unless the user asked for more.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import experiment_flags
import experiment_folder
import flow_experiment
import rendering_experiment
import vae_experiment
from absl import app, flags, logging

import tfp_ood

__all__ = ['main']

# A family is a module with
#   configuration(model, data), evaluation(data, config): settings, from flags
#   run(config, evaluation, output_dir, strategy): results and arrays
#   write_report(output_dir, results, arrays), print_summary(results)
_FAMILIES = {
  'cv_glow': flow_experiment,
  'glow': flow_experiment,
  'nrm': rendering_experiment,
  **dict.fromkeys(vae_experiment.MODELS, vae_experiment),
}
for _module in (experiment_flags, *dict.fromkeys(_FAMILIES.values())):
  flags.adopt_module_key_flags(_module)

_MODEL = flags.DEFINE_enum(
  'model',
  'glow',
  sorted(_FAMILIES),
  'The model: Glow, constant-volume Glow, a neural rendering model (nrm), or an '
  'autoencoder: a plain one, a variational one (vae), one with a larger weight of '
  'the divergence (beta_vae), one trained introspectively (soft_intro_vae), or '
  'one whose decoder is a flow (f_vae).',
)


def main(argv, data):
  """Runs the experiment that the flags describe.

  Args:
    argv: the command line without flags, from `absl.app.run`.
    data: `dict` from the values of --data to the names of the in-distribution
      data set, the list of the others, and the list of further ones for models
      that are compared with more.
  """
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  # TensorFlow reports every file that it writes.
  logging.set_verbosity(logging.WARNING)
  start = time.monotonic()
  family = _FAMILIES[_MODEL.value]
  data = data[experiment_flags.DATA.value]
  config = family.configuration(_MODEL.value, data)
  evaluation = family.evaluation(data, config)
  output_dir = experiment_flags.OUTPUT_DIR.value or os.path.join(
    'outputs',
    f'{config["model"]}_{config["preset"]}_{config["in_distribution"]}',
  )
  report_path = os.path.join(output_dir, 'report.html')
  if experiment_folder.is_complete(output_dir, config, evaluation):
    print(f'The run is complete: {report_path}')
    return
  # Before anything else runs: several workers must find one another first.
  strategy = tfp_ood.training.make_strategy(config['strategy'])
  found, arrays = family.run(config, evaluation, output_dir, strategy)
  if not experiment_folder.is_chief(strategy):
    return
  results = {
    'command': ' '.join(['python', *sys.argv]),
    'configuration': config,
    'evaluation': evaluation,
    'versions': experiment_folder.versions(),
    **found,
    'seconds': time.monotonic() - start,
  }
  tfp_ood.reporting.write_arrays(os.path.join(output_dir, 'scores.npz'), arrays)
  family.write_report(output_dir, results, arrays)
  # Last: this file says that the run is complete.
  tfp_ood.reporting.write_results(
    os.path.join(output_dir, 'results.json'), results
  )
  family.print_summary(results)
  print(f'Report: {report_path}')
