# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a flow on one data set and asks how it likes others.

The experiment of "Do Deep Generative Models Know What They Don't Know?": a Glow
trained on CIFAR-10 gives SVHN, and constant images, higher likelihoods than the
images it was trained on. Without any download, in minutes:

  python examples/cifar_svhn.py --data=sample

On the real data sets, for half an hour:

  python examples/cifar_svhn.py --data_dir=PATH --preset=small

Writes results.json, report.html and the exported model to --output_dir. The same
command again resumes a run that was interrupted.
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import time

# Quiet TensorFlow's start-up, unless the user asked for more.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import flow_report
import numpy as np
import tensorflow as tf
import tf_keras
from absl import app, flags, logging

import tfp_ood

_PRESETS = {
  # Levels, steps a level, hidden channels, batch size, minutes, recompute.
  'tiny': dict(
    num_levels=3, num_steps=4, hidden_channels=32, batch_size=64, minutes=1.0
  ),
  'small': dict(
    num_levels=3, num_steps=8, hidden_channels=128, batch_size=64, minutes=30.0
  ),
  'paper': dict(
    num_levels=3, num_steps=32, hidden_channels=512, batch_size=64, minutes=0.0
  ),
}
_PAPER_EPOCHS = 250
_MODELS = {
  'glow': tfp_ood.distributions.glow,
  'cv_glow': tfp_ood.distributions.constant_volume_glow,
}
_DATA = {
  'tfds': ('cifar10', ['svhn_cropped']),
  'sample': ('sample_photographs', ['sample_digits']),
}
_GRAYING_FACTORS = np.linspace(0.0, 1.0, 11)
_NUM_GRAYED = 500
_NUM_EXTREMES = 16
_BACKUP_STEPS = 100

_DATA_FLAG = flags.DEFINE_enum(
  'data',
  'tfds',
  sorted(_DATA),
  'tfds: CIFAR-10 against SVHN, from --data_dir; sample: photographs against '
  'handwritten digits, bundled, no download.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'Folder of prepared TFDS data sets. Default: that of TFDS, '
  '~/tensorflow_datasets.',
)
_IN_DISTRIBUTION = flags.DEFINE_string(
  'in_distribution',
  None,
  'TFDS name of the data set to train on; it needs the splits train and test. '
  'Default: by --data.',
)
_OUT_OF_DISTRIBUTION = flags.DEFINE_list(
  'out_of_distribution',
  None,
  'TFDS names of the data sets to compare with, by their test splits, of the '
  'same image shape. Default: by --data.',
)
_MODEL = flags.DEFINE_enum(
  'model', 'glow', sorted(_MODELS), 'The flow: Glow, or constant-volume Glow.'
)
_PRESET = flags.DEFINE_enum(
  'preset',
  None,
  sorted(_PRESETS),
  'Size of the model: tiny (3 levels x 4 steps, 32 hidden channels), small '
  '(3 x 8, 128) or paper (3 x 32, 512). Default: tiny for --data=sample, else '
  'small.',
)
_TRAIN_MINUTES = flags.DEFINE_float(
  'train_minutes',
  None,
  'Minutes of training, interruptions not counted. Default: 1 for tiny, 30 for '
  f'small; paper trains for {_PAPER_EPOCHS} epochs.',
  lower_bound=1e-3,
)
_EPOCHS = flags.DEFINE_integer(
  'epochs',
  None,
  'Epochs of training, instead of --train_minutes.',
  lower_bound=1,
)
_LEARNING_RATE = flags.DEFINE_float('learning_rate', 1e-3, "Adam's rate.")
_PRECISION = flags.DEFINE_enum(
  'precision',
  'float32',
  ['float32', 'bfloat16'],
  'Precision of the convolutions; everything else is float32. bfloat16 is '
  'faster where the processor has it.',
)
_NUM_EVALUATED = flags.DEFINE_integer(
  'num_evaluated',
  10_000,
  'At most so many images of each data set are scored.',
  lower_bound=2,
)
_STRATEGY = flags.DEFINE_enum(
  'strategy',
  'default',
  tfp_ood.training.STRATEGIES,
  'Devices to train on: one, all of this machine, or those of TF_CONFIG.',
)
_TENSORBOARD = flags.DEFINE_bool(
  'tensorboard',
  False,
  'Also write TensorBoard logs; needs `pip install tensorboard`.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Default: outputs/MODEL_PRESET_DATA.'
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of weights, data order and noise.'
)


def configuration():
  """Returns everything that decides the result, from the flags."""
  in_distribution, out_of_distribution = _DATA[_DATA_FLAG.value]
  preset = _PRESET.value or (
    'tiny' if _DATA_FLAG.value == 'sample' else 'small'
  )
  config = dict(_PRESETS[preset])
  minutes = config.pop('minutes')
  epochs = _EPOCHS.value
  if _TRAIN_MINUTES.value is not None:
    if epochs is not None:
      raise app.UsageError('Give --train_minutes or --epochs, not both.')
    minutes = _TRAIN_MINUTES.value
  elif epochs is None and not minutes:
    epochs = _PAPER_EPOCHS
  return config | {
    'in_distribution': _IN_DISTRIBUTION.value or in_distribution,
    'out_of_distribution': _OUT_OF_DISTRIBUTION.value or out_of_distribution,
    'model': _MODEL.value,
    'preset': preset,
    'train_minutes': None if epochs else minutes,
    'epochs': epochs,
    'learning_rate': _LEARNING_RATE.value,
    'precision': _PRECISION.value,
    # Storing the activations is faster where they fit into memory.
    'recompute': preset == 'paper',
    'num_evaluated': _NUM_EVALUATED.value,
    'strategy': _STRATEGY.value,
    'seed': _SEED.value,
  }


def check_configuration(path, config):
  """Refuses a folder that holds a run of other flags."""
  if not os.path.exists(path):
    return
  earlier = tfp_ood.reporting.read_results(path)
  changed = sorted(
    key
    for key in config.keys() | earlier.keys()
    if config.get(key) != earlier.get(key)
  )
  if changed:
    raise app.UsageError(
      f'{os.path.dirname(path)} holds a run with other settings ('
      + ', '.join(
        f'{key}: {earlier.get(key)} there, {config.get(key)} now'
        for key in changed
      )
      + '). Give another --output_dir, or the same flags to resume.'
    )


def load(name, config, **kwargs):
  return tfp_ood.datasets.load(
    name,
    data_dir=_DATA_DIR.value,
    batch_size=config['batch_size'],
    seed=config['seed'],
    **kwargs,
  )


def build_model(config, image_shape):
  """Builds and compiles the model; call it in the scope of the strategy."""
  flow = _MODELS[config['model']](
    image_shape,
    num_levels=config['num_levels'],
    num_steps=config['num_steps'],
    hidden_channels=config['hidden_channels'],
    seed=config['seed'],
    recompute=config['recompute'],
    compute_dtype=tf.as_dtype(config['precision']),
  )
  model = tfp_ood.training.DistributionModel(flow, seed=config['seed'])
  model.compile(
    tfp_ood.training.adam(
      config['learning_rate'],
      warmup_steps=100,
      global_clipnorm=1.0,
      ema_momentum=0.99,
    )
  )
  return model


def train(model, config, output_dir):
  """Trains, or resumes, or restores what was trained; returns the history."""
  done = os.path.join(output_dir, 'training.json')
  weights = os.path.join(output_dir, 'weights')
  if os.path.exists(done):
    training = tfp_ood.reporting.read_results(done)
    tfp_ood.training.load_weights(model.distribution, weights)
    print(f'The model is trained already: {weights}')
    return training
  dataset = load(f'{config["in_distribution"]}/train', config, shuffle=True)
  validation = load(f'{config["in_distribution"]}/test', config, limit=1_000)
  log = os.path.join(output_dir, 'epochs.csv')
  callbacks = [
    # First, or the backup would keep what it stops at.
    tfp_ood.training.StopOnNaN(),
    tf_keras.callbacks.BackupAndRestore(
      os.path.join(output_dir, 'backup'),
      save_freq=_BACKUP_STEPS,
      # Kept until the weights are safe.
      delete_checkpoint=False,
    ),
    tf_keras.callbacks.CSVLogger(log, append=True),
    tfp_ood.training.Progress(minutes=config['train_minutes']),
  ]
  if _TENSORBOARD.value:
    callbacks.append(
      tf_keras.callbacks.TensorBoard(os.path.join(output_dir, 'tensorboard'))
    )
  if config['train_minutes']:
    callbacks.append(tfp_ood.training.TimeLimit(config['train_minutes']))
  model.fit(
    _shard_by_example(dataset),
    validation_data=_shard_by_example(validation),
    epochs=config['epochs'] or sys.maxsize,
    callbacks=callbacks,
    verbose=0,
  )
  training = {
    'seconds': float(model.training_seconds),
    'steps': int(model.optimizer.iterations),
    'images': int(model.optimizer.iterations) * config['batch_size'],
    'epochs': flow_report.read_epochs(log),
  }
  if _is_chief(model):
    tfp_ood.training.save_weights(model.distribution, weights)
    tfp_ood.reporting.write_results(done, training)
    shutil.rmtree(os.path.join(output_dir, 'backup'), ignore_errors=True)
  return training


def _shard_by_example(dataset):
  # Several workers share each batch; a data set may be a single file.
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)


def _is_chief(model):
  return model.distribute_strategy.extended.should_checkpoint


def evaluated_datasets(config, image_shape):
  """Returns the data sets to score by their display names, test data first."""
  name = config['in_distribution']
  limit = config['num_evaluated']
  datasets = {
    f'{name} test': load(f'{name}/test', config, limit=limit),
    f'{name} train': load(f'{name}/train', config, limit=limit),
  }
  for other in config['out_of_distribution']:
    datasets[f'{other} test'] = load(f'{other}/test', config, limit=limit)
  for control in ('constant', 'uniform_noise'):
    datasets[control] = load(
      control, config, image_shape=image_shape, num_examples=1_000
    )
  for display_name, dataset in datasets.items():
    shape = dataset.element_spec[0].shape[1:]
    if shape != image_shape:
      raise app.UsageError(
        f'The images of {display_name} have shape {shape}, those of {name} '
        f'{image_shape}: choose data sets of one shape.'
      )
  return datasets


def score(flow, datasets):
  """Scores data sets; returns terms and extreme images as named arrays."""
  log_prob_terms = tf.function(
    flow.log_prob_terms,
    input_signature=[tf.TensorSpec([None, *flow.event_shape], tf.uint8)],
  )
  arrays = {}
  for name, dataset in datasets.items():
    start = time.monotonic()
    batches = [batch for batch, _ in dataset]
    images = np.concatenate(batches)
    terms = [log_prob_terms(batch) for batch in batches]
    density, volume = (
      np.concatenate([getattr(term, part) for term in terms])
      for part in ('density', 'volume')
    )
    # Float64, so that the sum of the two loses nothing.
    arrays[f'{name}/density'] = density.astype(np.float64)
    arrays[f'{name}/volume'] = volume.astype(np.float64)
    order = np.argsort(-arrays[f'{name}/density'] - arrays[f'{name}/volume'])
    for extreme, indices in (
      ('most_likely', order[:_NUM_EXTREMES]),
      ('least_likely', order[::-1][:_NUM_EXTREMES]),
    ):
      arrays[f'{name}/{extreme}'] = images[indices]
      arrays[f'{name}/{extreme}_indices'] = indices
    seconds = time.monotonic() - start
    print(f'scored {len(density)} images of {name} in {seconds:.0f} s')
  return arrays


def graying_curve(flow, dataset):
  """Returns log-probabilities of images at each factor, `[factors, images]`."""
  images = np.concatenate([images for images, _ in dataset])
  log_prob = tf.function(flow.log_prob)
  batches = np.array_split(images, max(1, len(images) // 100))
  return np.stack(
    [
      np.concatenate(
        [
          log_prob(tfp_ood.datasets.gray_towards_mean(tf.constant(b), factor))
          for b in batches
        ]
      )
      for factor in _GRAYING_FACTORS
    ]
  )


def summarize(config, training, arrays, event_size, seconds):
  """Returns the contents of results.json."""
  names = [key.rsplit('/', 1)[0] for key in arrays if key.endswith('/density')]
  log_prob = {
    name: arrays[f'{name}/density'] + arrays[f'{name}/volume'] for name in names
  }
  bits = {
    name: tfp_ood.stats.bits_per_dim(values, event_size)
    for name, values in log_prob.items()
  }
  in_distribution = names[0]
  return {
    'command': ' '.join(['python', *sys.argv]),
    'configuration': config,
    'versions': versions(),
    'training': training,
    'seconds': seconds,
    'bits_per_dim': {
      name: flow_report.mean_and_error(values) for name, values in bits.items()
    },
    'density': {
      name: flow_report.mean_and_error(arrays[f'{name}/density'])
      for name in names
    },
    'volume': {
      name: flow_report.mean_and_error(arrays[f'{name}/volume'])
      for name in names
    },
    # The score is the negative log-likelihood: larger = more out of it.
    'auroc': {
      name: tfp_ood.stats.auroc_confidence_interval(
        -log_prob[in_distribution], -log_prob[name]
      )._asdict()
      for name in names[1:]
    },
    'graying': {
      'factor': _GRAYING_FACTORS,
      'bits_per_dim': [
        flow_report.mean_and_error(
          tfp_ood.stats.bits_per_dim(values, event_size)
        )
        for values in arrays['graying']
      ],
    },
  }


def versions():
  packages = ('tensorflow', 'tensorflow-probability', 'tf-keras', 'numpy')
  return {
    'tfp_ood': tfp_ood.__version__,
    'python': platform.python_version(),
    **{package: importlib.metadata.version(package) for package in packages},
  }


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  # TensorFlow reports every file that it writes.
  logging.set_verbosity(logging.WARNING)
  start = time.monotonic()
  config = configuration()
  output_dir = _OUTPUT_DIR.value or os.path.join(
    'outputs', f'{config["model"]}_{config["preset"]}_{_DATA_FLAG.value}'
  )
  configuration_path = os.path.join(output_dir, 'configuration.json')
  check_configuration(configuration_path, config)
  results_path = os.path.join(output_dir, 'results.json')
  report_path = os.path.join(output_dir, 'report.html')
  if os.path.exists(results_path):
    tfp_ood.reporting.read_results(results_path)
    print(f'The run is complete: {report_path}')
    return

  # Before anything else runs: several workers must find one another first.
  strategy = tfp_ood.training.make_strategy(config['strategy'])
  tf_keras.utils.set_random_seed(config['seed'])
  first, _ = load(f'{config["in_distribution"]}/train', config).element_spec
  image_shape = first.shape[1:]
  datasets = evaluated_datasets(config, image_shape)
  # The data sets are there and fit: this folder is for these flags from now on.
  tfp_ood.reporting.write_results(configuration_path, config)
  with strategy.scope():
    model = build_model(config, image_shape)
  training = train(model, config, output_dir)
  if not _is_chief(model):
    return
  flow = model.distribution

  tfp_ood.training.export_saved_model(
    flow, os.path.join(output_dir, 'saved_model')
  )
  arrays = score(flow, datasets)
  arrays['samples'] = flow.sample(64, seed=[config['seed'], 1]).numpy()
  arrays['graying'] = graying_curve(
    flow,
    load(f'{config["in_distribution"]}/test', config, limit=_NUM_GRAYED),
  )
  tfp_ood.reporting.write_arrays(os.path.join(output_dir, 'scores.npz'), arrays)
  results = summarize(
    config,
    training,
    arrays,
    image_shape.num_elements(),
    seconds=time.monotonic() - start,
  )
  flow_report.write_report(output_dir, results, arrays)
  # Last: this file says that the run is complete.
  tfp_ood.reporting.write_results(results_path, results)
  flow_report.print_summary(results)
  print(f'Report: {report_path}')


if __name__ == '__main__':
  app.run(main)
