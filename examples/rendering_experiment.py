# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The experiment with neural rendering models: flags, and running it.

Beside what all runs have, the folder of a run holds, for each of the --num_runs
models and its seed,

  seed_0/weights, training.json      the model
  seed_0/classifier/                 the same of its first stage
  seed_0/statistics/                 of each data set, image by image

A run that is complete takes up more --num_runs beside those it has.
"""

import os

import experiment_data
import experiment_flags
import experiment_folder
import rendering_evaluation
import rendering_training
from absl import app, flags
from rendering_report import print_summary, write_report

import tfp_ood

__all__ = [
  'configuration',
  'evaluation',
  'print_summary',
  'run',
  'write_report',
]

_PRESETS = {
  'tiny': dict(
    width=0.1, dropout=0.0, batch_size=64, classifier_epochs=2, epochs=2
  ),
  'small': dict(
    width=0.25, dropout=0.0, batch_size=128, classifier_epochs=8, epochs=5
  ),
  'paper': dict(
    width=1.0, dropout=0.5, batch_size=128, classifier_epochs=100, epochs=400
  ),
}
_WEIGHT_DECAY = 0.01
# Fixed beforehand: what the latent score is, and the layer of the paper.
_LATENT = 'mode_normalised'
_LAYER = 6

_NETWORK = flags.DEFINE_enum(
  'network',
  'all_conv13',
  list(rendering_training.NETWORKS),
  'nrm: the classifier.',
)
_NORMALIZATION = flags.DEFINE_enum(
  'normalization',
  None,
  ['none', 'folded', 'untied'],
  'nrm: batch normalization. none; folded: of the features, renderings are exact '
  'adjoints; untied: of renderings too, by themselves, as the authors do. '
  'Default: folded where the network has it, else none.',
)
_WIDTH = flags.DEFINE_float(
  'width',
  None,
  'nrm: multiplies the channels of the network. Default: by --preset.',
  lower_bound=1e-3,
)
_DROPOUT = flags.DEFINE_float(
  'dropout',
  None,
  'nrm: share of features dropped in training; small_resnet has none. Default: '
  'by --preset.',
  lower_bound=0.0,
  upper_bound=0.99,
)
_CLASSIFIER_EPOCHS = flags.DEFINE_integer(
  'classifier_epochs',
  None,
  'nrm: epochs of training by the cross-entropy alone, before those with all '
  'losses. Default: by --preset.',
  lower_bound=0,
)
_CLASSIFIER_LEARNING_RATE = flags.DEFINE_float(
  'classifier_learning_rate',
  1e-2,
  "nrm: Adam's rate in those epochs.",
  lower_bound=0.0,
)
_RECONSTRUCTION_WEIGHT = flags.DEFINE_float(
  'reconstruction_weight',
  0.5,
  'nrm: weight of the squared error of the rendered image.',
  lower_bound=0.0,
)
_RENDERING_PATH_WEIGHT = flags.DEFINE_float(
  'rendering_path_weight',
  1.0,
  'nrm: weight of the rendering path normalization.',
  lower_bound=0.0,
)
_LABEL_ENTROPY_WEIGHT = flags.DEFINE_float(
  'label_entropy_weight',
  0.5,
  'nrm: weight of the entropy of the classes inferred.',
  lower_bound=0.0,
)
_NEGATIVITY_WEIGHT = flags.DEFINE_float(
  'negativity_weight',
  0.5,
  'nrm: weight of the negative part of what layers render.',
  lower_bound=0.0,
)
_CLASS_VARIANCE = flags.DEFINE_float(
  'class_variance',
  3.0,
  'nrm: temperature of the softmax, and initial gain of the logits.',
  lower_bound=1e-6,
)
_AUGMENTATION = flags.DEFINE_bool(
  'augmentation', True, 'nrm: whether to shift and mirror training images.'
)
_NUM_LABELLED = flags.DEFINE_integer(
  'num_labelled',
  None,
  'nrm: only so many of the first training images keep their label; the others '
  'take the class inferred. Default: all.',
  lower_bound=1,
)
_NUM_RUNS = flags.DEFINE_integer(
  'num_runs',
  1,
  'nrm: models to train, of seeds --seed, --seed + 1, ...',
  lower_bound=1,
)


def configuration(model, data):
  """Returns everything that decides what the model will be, from the flags.

  Args:
    model: the value of --model.
    data: names of data sets: see `experiment.main`.

  Returns:
    `dict` of settings.
  """
  preset = experiment_flags.preset()
  normalization = _normalization()
  config = {
    'in_distribution': experiment_flags.IN_DISTRIBUTION.value or data[0],
    'train_split': experiment_flags.TRAIN_SPLIT.value,
    'test_split': experiment_flags.TEST_SPLIT.value,
    'watched': (experiment_flags.OUT_OF_DISTRIBUTION.value or data[1])[:1],
    'model': model,
    'preset': preset,
    'network': _NETWORK.value,
    'normalization': normalization,
    'batch_normalization': (
      normalization != 'none'
      and 'folded' in rendering_training.NORMALIZATIONS[_NETWORK.value]
    ),
    'class_variance': _CLASS_VARIANCE.value,
    'loss_weights': {
      'cross_entropy': 1.0,
      'reconstruction': _RECONSTRUCTION_WEIGHT.value,
      'rendering_path': _RENDERING_PATH_WEIGHT.value,
      'label_entropy': _LABEL_ENTROPY_WEIGHT.value,
      'negativity': _NEGATIVITY_WEIGHT.value,
    },
    'learning_rate': experiment_flags.LEARNING_RATE.value,
    'classifier_learning_rate': _CLASSIFIER_LEARNING_RATE.value,
    'weight_decay': _or(experiment_flags.WEIGHT_DECAY.value, _WEIGHT_DECAY),
    'augmentation': _AUGMENTATION.value,
    'num_labelled': _NUM_LABELLED.value,
    'strategy': experiment_flags.STRATEGY.value,
    'seed': experiment_flags.SEED.value,
  }
  given = {
    'width': _WIDTH.value,
    'dropout': _DROPOUT.value,
    'classifier_epochs': _CLASSIFIER_EPOCHS.value,
    'epochs': experiment_flags.EPOCHS.value,
  }
  config |= {
    key: _or(given.get(key), default)
    for key, default in _PRESETS[preset].items()
  }
  config['num_classes'] = rendering_training.count_classes(
    config, experiment_flags.DATA_DIR.value
  )
  return config


def evaluation(data, config):
  """Returns everything else that decides the results, from the flags.

  Args:
    data: names of data sets: see `experiment.main`.
    config: `dict`, as `configuration` returns it.

  Returns:
    `dict` of settings.
  """
  _, others, further = data
  return {
    'out_of_distribution': (
      experiment_flags.OUT_OF_DISTRIBUTION.value or [*others, *further]
    ),
    'num_evaluated': experiment_flags.NUM_EVALUATED.value,
    'num_runs': _NUM_RUNS.value,
    'latent': _LATENT,
    'layer': _LAYER,
  }


def run(config, evaluation, output_dir, strategy):
  """Trains what is not trained yet, and scores what is not scored yet.

  Args:
    config: `dict`, as `configuration` returns it.
    evaluation: `dict`, as `evaluation` returns it.
    output_dir: folder of the run.
    strategy: `tf.distribute.Strategy`.

  Returns:
    The results and the arrays of the run; of a worker that writes no files,
    empty ones.
  """
  data_dir = experiment_flags.DATA_DIR.value
  # Before hours of training: are all the data sets there?
  datasets = rendering_evaluation.datasets(evaluation, config, data_dir)
  path = os.path.join(output_dir, 'configuration.json')
  experiment_folder.check_configuration(path, config)
  tfp_ood.reporting.write_results(path, config)
  image_shape = experiment_data.image_shape(
    experiment_data.train_name(config), data_dir
  )
  models, trainings = {}, {}
  for number in range(evaluation['num_runs']):
    name = f'seed_{config["seed"] + number}'
    print(f'{name}:')
    models[name], trainings[name] = rendering_training.train(
      config | {'seed': config['seed'] + number},
      os.path.join(output_dir, name),
      image_shape,
      strategy,
      data_dir,
      tensorboard=experiment_flags.TENSORBOARD.value,
    )
  if not experiment_folder.is_chief(strategy):
    return {}, {}
  found, arrays = rendering_evaluation.evaluate(
    models, datasets, evaluation, config, output_dir
  )
  return {'training': trainings, **found}, arrays


def _normalization():
  """Returns --normalization, and refuses what a network does not have."""
  possible = rendering_training.NORMALIZATIONS[_NETWORK.value]
  chosen = _NORMALIZATION.value or (
    'folded' if 'folded' in possible else 'none'
  )
  if chosen not in possible:
    raise app.UsageError(
      f'--network={_NETWORK.value} takes --normalization='
      f'{"|".join(possible)}, not {chosen}.'
    )
  return chosen


def _or(value, default):
  return default if value is None else value
