# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The neural rendering model: "... Using Neural Rendering Generative Models"."""

import functools
import os

import numpy as np
import tensorflow as tf

from tfp_ood import (
  datasets,
  distributions,
  evaluation,
  networks,
  stats,
  training,
)
from tfp_ood.recipes.recipe import Recipe, Setting, SettingError

__all__ = ['neural_rendering_model']

# What the networks have, the default first.
_NORMALIZATIONS = {
  'all_conv13': ('folded', 'none', 'untied'),
  'all_cnn_c': ('none', 'untied'),
  'small_resnet': ('folded', 'untied'),
  'alexnet_like': ('none', 'untied'),
}
_WEIGHTS = {
  'reconstruction_weight': Setting(0.5, 'Of the error of the rendered image.'),
  'rendering_path_weight': Setting(1.0, 'Of the rendering path normalization.'),
  'label_entropy_weight': Setting(
    0.5, 'Of the entropy of the classes inferred.'
  ),
  'negativity_weight': Setting(0.5, 'Of what layers render below zero.'),
}
_SECOND_STAGE = {
  'normalization': Setting(
    '',
    'Batch normalization: none; folded, of features, so that renderings are exact '
    'adjoints; untied, of renderings by themselves too. By default folded where '
    'the network has it.',
    choices=('none', 'folded', 'untied'),
  ),
  'epochs': Setting((2, 5, 400), 'Epochs with all losses.'),
  'learning_rate': Setting(
    1e-3, "The largest of Adam's cycle with all losses."
  ),
  **_WEIGHTS,
}
_SETTINGS = {
  'network': Setting(
    'all_conv13', 'The classifier.', choices=tuple(_NORMALIZATIONS)
  ),
  'width': Setting((0.1, 0.25, 1.0), 'Multiplies the channels of the network.'),
  'dropout': Setting((0.0, 0.0, 0.5), 'Share of features dropped in training.'),
  'batch_size': Setting((64, 128, 128), 'Examples of a training step.'),
  'classifier_epochs': Setting(
    (2, 8, 100), 'Epochs by the cross-entropy alone.'
  ),
  'classifier_learning_rate': Setting(
    1e-2, 'The largest rate of those epochs.'
  ),
  'class_variance': Setting(3.0, 'Temperature of the softmax.'),
  'weight_decay': Setting(0.01, 'Weight decay of the classifier.'),
  'augmentation': Setting(True, 'Whether to shift and mirror training images.'),
  'num_labelled': Setting(
    0, 'The first so many images keep their label; 0: all.'
  ),
  'seed': Setting(0, 'Seed of weights, data order and noise.'),
  **_SECOND_STAGE,
}
_EVALUATION_SETTINGS = {
  'num_runs': Setting(
    1, 'Models to train, of seeds seed, seed + 1, ...', minimum=1
  ),
}
# Fixed beforehand: what the latent score is, and the layer of the paper.
_MODES = ('mode_normalized', 'eta', 'rpn', 'layerwise')
_LAYER = 6
_DEFAULT = 'default'


def _run(run):
  """Trains classifiers of several seeds to render, and analyzes them."""
  network, normalization = run.model['network'], run.model['normalization']
  normalization = normalization or _NORMALIZATIONS[network][0]
  name, dataset = next(iter(run.others.items()))
  run.datasets[f'{name} x 0.8'] = dataset.map(lambda x, y: (_scaled(x), y))
  seeds = [run.model['seed'] + n for n in range(run.evaluation['num_runs'])]
  models, records = {}, {}
  for seed in seeds:
    folder = f'seed_{seed}'
    models[folder], records[folder] = _trained(
      run, folder, run.model | {'seed': seed, 'normalization': normalization}
    )
  if not run.is_chief:
    return None
  evaluations = {
    folder: run.evaluate(
      model,
      {
        **_scores(run, min(_LAYER, model.network.num_layers)),
        _DEFAULT: stats.default_score(model),
      },
      folder,
      recommended=_DEFAULT,
      keep=('log_prob', 'logits', 'layer_etas', 'layer_reconstructions'),
    )
    for folder, model in models.items()
  }
  (model, *_), (found, *_) = models.values(), evaluations.values()
  labels = {name: run.labels(name) for name in (run.test, run.train)}
  render = functools.partial(evaluation.rendered_pixels, model)
  found.add(evaluation.over_runs(evaluations))
  found.add(evaluation.accuracies(evaluations, labels))
  found.add(evaluation.rendering_layers(models, evaluations, run.datasets))
  shown = list(run.compared)
  found.add(evaluation.rendering_labels(models, run.datasets, shown))
  for statistic in (f'latent_{_MODES[0]}', 'log_prob'):
    found.add(
      evaluation.extreme_images(found, run.compared, statistic, 25, render)
    )
  found.add(evaluation.exciting_features(model, run.compared))
  for stage in next(iter(records.values())):
    of_stage = {folder: record[stage] for folder, record in records.items()}
    found.add(evaluation.training_curves(of_stage, f'Training: {stage}'))
  return found, _DEFAULT


def _check(network, normalization, **_):
  possible = _NORMALIZATIONS[network]
  if normalization and normalization not in possible:
    raise SettingError(
      f'normalization: {network} takes {" or ".join(possible)}, got '
      f'{normalization}.'
    )


def _scaled(images):
  """Multiplies by .8 in [-1, 1], and so the variance by .64."""
  scaled = 127.5 + 0.8 * (tf.cast(images, tf.float32) - 127.5)
  return tf.cast(tf.round(scaled), tf.uint8)


def _scores(run, layer):
  temperature = run.model['class_variance']
  return {
    **{f'latent_{mode}': stats.RenderingLatent(mode) for mode in _MODES},
    'log_prob': stats.NegativeLogLikelihood(),
    **{
      f'reconstruction_{n}': stats.RenderingReconstruction(n)
      for n in dict.fromkeys([0, layer])
    },
    'density_of_layers': stats.DensityOfStates(
      ('layer_etas', 'layer_reconstructions'),
      method='gaussian',
      drop_constant=True,
    ),
    'max_softmax': stats.MaxSoftmax(temperature),
    'energy': stats.Energy(temperature),
  }


def _trained(run, folder, config):
  """Trains the classifier alone, then with all losses."""
  with run.strategy.scope():
    classifier = _classifier(run, config)
    make = distributions.NeuralRenderingModel.from_keras
    plain = make(classifier)
    model = make(
      classifier, normalize_renderings=config['normalization'] == 'untied'
    )
  records = {}
  if config['classifier_epochs']:
    # Runs of other losses can share this stage by a copy of its folder.
    first = {k: v for k, v in config.items() if k not in _SECOND_STAGE}
    first['batch_normalization'] = config['normalization'] != 'none'
    records['cross-entropy alone'] = _fit(
      run,
      plain,
      os.path.join(folder, 'classifier'),
      first,
      config['classifier_epochs'],
      config['classifier_learning_rate'],
      training.RenderingLossWeights(1.0, 0.0, 0.0, 0.0, 0.0),
      _labelled_images(run, config),
    )
  records['all losses'] = _fit(
    run,
    model,
    folder,
    config,
    config['epochs'],
    config['learning_rate'],
    training.RenderingLossWeights(1.0, *(config[name] for name in _WEIGHTS)),
    _labelled_and_other_images(run, config),
  )
  return model, records


def _classifier(run, config):
  options = {'dropout': config['dropout']}
  if config['network'] == 'small_resnet':
    options = {}  # It has no dropout.
  if config['network'] == 'all_conv13':
    options['batch_normalization'] = config['normalization'] != 'none'
  labels = np.concatenate([labels for _, labels in run.load('train')])
  return getattr(networks, config['network'])(
    tuple(run.image_shape),
    num_classes=1 + int(labels.max()),
    width=config['width'],
    # At first, the softmax is that of the plain network.
    initial_gain=config['class_variance'],
    seed=config['seed'],
    **options,
  )


def _fit(run, model, folder, config, epochs, rate, weights, dataset):
  schedule = training.one_cycle(rate, epochs * int(dataset.cardinality()))
  with run.strategy.scope():
    trained = training.RenderingModel(
      model, weights, config['class_variance'], seed=config['seed']
    )
    trained.compile(
      training.adam(
        schedule, global_clipnorm=1.0, weight_decay=config['weight_decay']
      )
    )
  scores = _scores(run, 0)
  watched = ('latent_eta', 'latent_mode_normalized', 'max_softmax')
  return run.fit(
    trained,
    folder,
    config,
    {name: scores[name] for name in watched},
    dataset=dataset,
    epochs=epochs,
  )


def _labelled_images(run, config, **options):
  return run.load(
    'train',
    shuffle=True,
    random_transformation=(
      datasets.crop_and_flip if config['augmentation'] else None
    ),
    **{'limit': config['num_labelled'] or None, **options},
  )


def _labelled_and_other_images(run, config):
  """The training images, and in semi-supervised runs not all labels.

  There, each batch is half of labelled images and half of any, with no labels; an
  epoch is one pass over the latter.
  """
  if not config['num_labelled']:
    return _labelled_images(run, config)
  half = config['batch_size'] // 2
  labelled = _labelled_images(run, config, batch_size=half, repeat=True)
  others = _labelled_images(run, config, batch_size=half, limit=None)
  return tf.data.Dataset.zip(labelled, others).map(
    lambda known, unknown: (
      tf.concat([known[0], unknown[0]], axis=0),
      tf.concat([known[1], -tf.ones_like(unknown[1])], axis=0),
    )
  )


neural_rendering_model = Recipe(
  'Neural rendering model', _run, _SETTINGS, _EVALUATION_SETTINGS, _check
)
