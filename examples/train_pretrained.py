# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the models whose weights are bundled, and measures them.

  python examples/train_pretrained.py --data_dir=PATH --name=glow_cifar10
  python examples/train_pretrained.py --help  # Lists all names.

Writes NAME.npz, for `tfp_ood.pretrained.load_model`, a report of what the model is
worth and card.md, the essence of it, to --output_dir/NAME. The same command again
resumes what was interrupted.
"""

import dataclasses
import functools
import os
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import tensorflow as tf
import tf_keras
from absl import app, flags, logging

import tfp_ood

_SHAPES = {'cifar10': [32, 32, 3], 'fashion_mnist': [28, 28, 1]}
_OTHERS = {
  'cifar10': ('svhn_cropped', 'fashion_mnist', 'mnist'),
  'fashion_mnist': ('mnist', 'svhn_cropped', 'cifar10'),
}
_NUM_VALIDATION = 1_000
_NUM_CONTROLS = 1_000


@dataclasses.dataclass(frozen=True)
class Plan:
  """How one model is made and trained.

  Attributes:
    kind: `str`, the function that makes it; see `tfp_ood.pretrained.factory`.
    dataset: `str`, what it is trained on.
    arguments: `dict`, those of the function.
    minutes: of training.
    learning_rate: Adam's, the largest.
    batch_size: examples of a step.
  """

  kind: str
  dataset: str
  arguments: dict
  minutes: float
  learning_rate: float = 1e-3
  batch_size: int = 64


def _flow(kind, dataset, minutes):
  num_levels = 3 if dataset == 'cifar10' else 2
  arguments = {
    'image_shape': _SHAPES[dataset],
    'num_levels': num_levels,
    'num_steps': 8,
    'hidden_channels': 128,
  }
  return Plan(kind, dataset, arguments, minutes)


def _autoencoder(dataset, minutes):
  arguments = {
    'image_shape': _SHAPES[dataset],
    'latent_size': 100,
    'hidden_channels': 32,
  }
  return Plan(
    'variational_autoencoder', dataset, arguments, minutes, batch_size=128
  )


def _classifier(dataset, minutes):
  arguments = {'input_shape': _SHAPES[dataset], 'width': 0.5}
  return Plan(
    'small_resnet',
    dataset,
    arguments,
    minutes,
    learning_rate=3e-3,
    batch_size=128,
  )


_PLANS = {
  f'{plan.kind}_{plan.dataset}': plan
  for plan in (
    _flow('glow', 'cifar10', 120.0),
    _flow('glow', 'fashion_mnist', 8.0),
    _flow('constant_volume_glow', 'cifar10', 8.0),
    _flow('constant_volume_glow', 'fashion_mnist', 2.5),
    _autoencoder('cifar10', 5.0),
    _autoencoder('fashion_mnist', 2.0),
    _classifier('cifar10', 20.0),
    _classifier('fashion_mnist', 2.0),
  )
}

_NAME = flags.DEFINE_enum('name', None, sorted(_PLANS), 'The model.')
_MINUTES = flags.DEFINE_float('minutes', None, 'In the place of its minutes.')
_INITIAL_WEIGHTS = flags.DEFINE_string(
  'initial_weights',
  None,
  'Weights file of an earlier run to go on from. Default: new weights.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder of prepared TFDS data sets. Default: that of TFDS.'
)
_OUTPUT_DIR = flags.DEFINE_string('output_dir', 'outputs/pretrained', 'Folder.')
_NUM_EVALUATED = flags.DEFINE_integer(
  'num_evaluated', 10_000, 'At most so many images of each data set are scored.'
)
flags.mark_flag_as_required('name')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  logging.set_verbosity(logging.WARNING)
  plan = _PLANS[_NAME.value]
  if _MINUTES.value is not None:
    plan = dataclasses.replace(plan, minutes=_MINUTES.value)
  folder = os.path.join(_OUTPUT_DIR.value, _NAME.value)
  make = tfp_ood.pretrained.factory(plan.kind)
  make = functools.partial(make, weights=_INITIAL_WEIGHTS.value)
  start = time.monotonic()
  # Networks take the shape of their input, distributions that of an image.
  is_classifier = 'input_shape' in plan.arguments
  train = _train_classifier if is_classifier else _train_distribution
  model, record = train(plan, make, folder)
  path = os.path.join(folder, f'{_NAME.value}.npz')
  information = {
    'dataset': plan.dataset,
    'tfp_ood': tfp_ood.__version__,
    'steps': record['steps'],
    'seconds': round(record['seconds']),
    'batch_size': plan.batch_size,
    'learning_rate': plan.learning_rate,
  }
  if _INITIAL_WEIGHTS.value:
    initial = tfp_ood.pretrained.read_weights(_INITIAL_WEIGHTS.value)
    information['initial_training'] = initial.information
  arguments = (path, model, plan.kind, plan.arguments, information)
  measure, of = (
    (_accuracy, 'test_accuracy')
    if is_classifier
    else (_bits_per_dim, 'test_bits_per_dim')
  )
  # As it was trained, flows in bfloat16; then as it is loaded, in float32.
  information[f'{of}_in_training'] = measure(model, plan)
  for half_precision in (False, True):
    tfp_ood.pretrained.write_weights(*arguments, half_precision=half_precision)
    loaded = tfp_ood.pretrained.load_model(path)
    key = of if half_precision else f'{of}_before_packing'
    information[key] = measure(loaded, plan)
  tfp_ood.pretrained.write_weights(*arguments, half_precision=True)
  print(information)
  evaluation = _evaluated(tfp_ood.pretrained.load_model(path), plan, folder)
  evaluation.information |= {
    'title': f'{plan.kind} trained on {plan.dataset}',
    'training': information,
    'seconds': time.monotonic() - start,
  }
  evaluation.save(folder)
  card = os.path.join(folder, 'card.md')
  with open(card, 'w', encoding='utf-8') as file:
    file.write(_card(plan, evaluation))
  print(evaluation.summary())
  print('\n'.join([path, card, evaluation.write_report(folder)]))


def _load(name, plan, **options):
  shape = _SHAPES[plan.dataset]
  return tfp_ood.datasets.load(
    name,
    data_dir=_DATA_DIR.value,
    batch_size=plan.batch_size,
    transformation=lambda x: tfp_ood.datasets.fit_to_shape(x, shape),
    **options,
  )


def _fit(model, folder, plan, dataset, validation_data):
  """Trains by the clock, or restores what was trained."""
  return tfp_ood.training.train_or_restore(
    model,
    folder,
    dataclasses.asdict(plan) | {'initial_weights': _INITIAL_WEIGHTS.value},
    dataset,
    validation_data=validation_data,
    minutes=plan.minutes,
    learning_rate=plan.learning_rate,
    warmup_steps=100,
  )


def _train_distribution(plan, make, folder):
  flow = {'compute_dtype': tf.bfloat16, 'recompute': False}
  is_flow = 'num_steps' in plan.arguments
  distribution = make(**plan.arguments, **(flow if is_flow else {}))
  wrap = (
    tfp_ood.training.DistributionModel
    if is_flow
    else tfp_ood.training.VariationalModel
  )
  model = wrap(distribution, max_skipped_steps=10)
  model.compile(
    tfp_ood.training.adam(
      plan.learning_rate, global_clipnorm=1.0, ema_momentum=0.99
    )
  )

  def mirror(images, seed):
    return tfp_ood.datasets.crop_and_flip(images, seed, margin=0)

  record = _fit(
    model,
    folder,
    plan,
    _load(
      f'{plan.dataset}/train', plan, shuffle=True, random_transformation=mirror
    ),
    _load(f'{plan.dataset}/test', plan, limit=_NUM_VALIDATION),
  )
  return distribution, record


def _train_classifier(plan, make, folder):
  # Layers keep the policy that they are made under; float32 has the weights.
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  network = make(**plan.arguments)
  tf_keras.mixed_precision.set_global_policy('float32')
  network.compile(
    tfp_ood.training.adam(
      plan.learning_rate, ema_momentum=0.99, weight_decay=0.01
    ),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=['accuracy'],
  )
  record = _fit(
    network,
    folder,
    plan,
    _scaled(
      _load(
        f'{plan.dataset}/train',
        plan,
        shuffle=True,
        random_transformation=tfp_ood.datasets.crop_and_flip,
      )
    ),
    _scaled(_load(f'{plan.dataset}/test', plan)),
  )
  return network, record


def _scaled(dataset):
  return dataset.map(
    lambda images, labels: (tf.cast(images, tf.float32) / 127.5 - 1, labels)
  )


def _accuracy(network, plan):
  hits = [
    np.argmax(network.predict_on_batch(images), axis=-1) == labels
    for images, labels in _scaled(_load(f'{plan.dataset}/test', plan))
  ]
  return float(np.mean(np.concatenate(hits)))


def _bits_per_dim(distribution, plan):
  statistics = tfp_ood.stats.Statistics(distribution)
  values = np.concatenate(
    [
      statistics(images, ['bits_per_dim'])['bits_per_dim']
      for images, _ in _load(f'{plan.dataset}/test', plan)
    ]
  )
  return float(np.mean(values, dtype=np.float64))


def _evaluated(model, plan, folder):
  """Scores the data sets that the card of the model has."""
  data = {
    name: _load(f'{name}/test', plan, limit=_NUM_EVALUATED.value)
    for name in _OTHERS[plan.dataset]
  }
  data |= {
    name: _load(
      name,
      plan,
      image_shape=_SHAPES[plan.dataset],
      num_examples=_NUM_CONTROLS,
    )
    for name in ('constant', 'uniform_noise')
  }
  scores = {}
  options = {}
  if isinstance(model, tf_keras.Model):
    options['classifier'] = tfp_ood.networks.ImageClassifier(model)
    model = tfp_ood.distributions.NeuralRenderingModel.from_keras(model)
    logits = 'classifier_logits'
    scores |= {
      'energy': tfp_ood.stats.Energy(statistic=logits),
      'max_softmax': tfp_ood.stats.MaxSoftmax(statistic=logits),
      'feature_neighbors': tfp_ood.stats.FeatureNeighbors(
        'classifier_features'
      ),
      'rendering_latent': tfp_ood.stats.RenderingLatent(),
    }
  else:
    scores |= {
      'typicality': tfp_ood.stats.Typicality(),
      'input_complexity': tfp_ood.stats.InputComplexity(),
      'score_norm': tfp_ood.stats.ScoreNorm(),
    }
  scores |= {
    'negative_log_likelihood': tfp_ood.stats.NegativeLogLikelihood(),
    'default': tfp_ood.stats.default_score(model),
  }
  return tfp_ood.evaluation.evaluate(
    model,
    scores,
    {
      f'{plan.dataset} test': _load(
        f'{plan.dataset}/test', plan, limit=_NUM_EVALUATED.value
      )
    },
    data,
    {
      f'{plan.dataset} train': _load(
        f'{plan.dataset}/train', plan, limit=_NUM_EVALUATED.value
      )
    },
    folder=folder,
    **options,
  )


def _card(plan, evaluation):
  """Returns what there is to know of a model, in Markdown."""
  training = evaluation.information['training']
  runs = [training]
  while 'initial_training' in runs[-1]:
    runs.append(runs[-1]['initial_training'])
  steps = ' + '.join(f'{run["steps"]:,}' for run in reversed(runs))
  minutes = ' + '.join(f'{run["seconds"] / 60:.0f}' for run in reversed(runs))
  if 'test_accuracy' in training:
    quality = f'accuracy {training["test_accuracy"]:.1%}'
  else:
    quality = f'{training["test_bits_per_dim"]:.3f} bits/dim'
  arguments = ', '.join(f'`{k}={v}`' for k, v in plan.arguments.items())
  rows = [
    ('Made with', arguments),
    (
      'Trained',
      f'{steps} steps of {plan.batch_size} images, {minutes} minutes on two cores',
    ),
    (f'{plan.dataset} test', quality),
  ]
  names = evaluation.others
  scores = [
    (f'`{score}`', *(f'{by_name[name].auroc:.3f}' for name in names))
    for score, by_name in evaluation.aurocs().items()
  ]
  return '\n'.join(
    [
      f"## `{plan.kind}(weights='{plan.dataset}')`",
      '',
      *_table(('', ''), rows),
      '',
      *_table(('AUROC', *names), scores),
      '',
    ]
  )


def _table(header, rows):
  """Returns the lines of a table in Markdown."""
  lines = [header, ('---',) * len(header), *rows]
  return [f'| {" | ".join(line)} |' for line in lines]


if __name__ == '__main__':
  app.run(main)
