# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Autoencoders: "Likelihood Regret", and Chen's thesis on their latent spaces."""

import functools
import os

from tfp_ood import distributions, evaluation, networks, stats, training
from tfp_ood._one_trace import OneTrace
from tfp_ood.recipes.recipe import Builder, Recipe, Setting

__all__ = [
  'autoencoder',
  'beta_variational_autoencoder',
  'flow_variational_autoencoder',
  'soft_introspective_autoencoder',
  'variational_autoencoder',
]

_SETTINGS = {
  'latent_size': Setting((16, 100, 100), 'How many numbers the latent has.'),
  'vae_width': Setting((8, 32, 64), 'Channels of the largest feature maps.'),
  'batch_size': Setting((64, 128, 64), 'Examples of a training step.'),
  'epochs': Setting((10, 10, 200), 'Epochs of training.'),
  'learning_rate': Setting(1e-3, "Adam's rate."),
  'seed': Setting(0, 'Seed of weights, data order and noise.'),
}
_DECODER = {
  'decoder': Setting(
    'gaussian',
    'Distribution of a pixel. The first two are densities of pixel values.',
    choices=(
      'gaussian',
      'learned_gaussian',
      'categorical',
      'discretized_logistic',
    ),
  ),
  'decoder_scale': Setting(25.5, 'Deviation of a gaussian decoder.'),
}
_FLOW_DECODER = {
  'decoder_levels': Setting((1, 2, 2), 'Levels of the flow of the decoder.'),
  'decoder_steps': Setting((2, 4, 8), 'Steps of each level.'),
  'decoder_channels': Setting((8, 64, 256), 'Width of its networks.'),
}
_WARM_UP = {
  'kl_warmup_steps': Setting(
    0, 'Steps in which the weight of the divergence from the prior rises.'
  ),
}
_FREE_BITS = {
  'free_bits': Setting(0.0, 'A divergence of fewer bits costs as much as that.')
}
_INTROSPECTION = {
  'beta': Setting(1.0, 'Weight of the divergence from the prior.'),
  # That of the authors, whose squared errors are of pixels in [0, 1], for a
  # decoder_scale of 25.5.
  'beta_reconstruction': Setting(0.02, 'Weight of the reconstruction.'),
  'beta_negative': Setting(256.0, 'Weight of the divergence of fakes.'),
  'num_vae_steps': Setting(0, 'Steps at the start without fakes.'),
  'learning_rate': Setting(2e-4, "Adam's rate, of both networks."),
}
_EVALUATION_SETTINGS = {
  'features_dir': Setting(
    '',
    'Folder of the classifier of the Frechet distances, to be shared by runs.',
  )
}
_OF_PRIOR = {
  'num_importance_samples': Setting(
    [5],
    'Samples of the bounds to score by; other scores take the first.',
    minimum=2,
    entries=int,
  ),
  'regret_steps': Setting(100, 'Steps that fit the posterior to each image.'),
  'num_regret': Setting(
    1_000, 'Most images to be scored by likelihood regret.'
  ),
}
_PARTS = (
  'elbo_reconstruction',
  'elbo_log_prior',
  'elbo_posterior_entropy',
  'elbo_kl',
)
_ADAPTED = ('encoder', 'decoder', 'both')
_NUM_TESTED = 2_000
_DEFAULT = 'default'


def _run(run, train, has_prior):
  """Trains an autoencoder and analyzes it."""
  model, record = train(run)
  if not run.is_chief:
    return None
  training.export_saved_model(model, os.path.join(run.folder, 'saved_model'))
  found = _analyzed(run, model, has_prior)
  found.add(evaluation.training_curves({'model': record}))
  return found, _DEFAULT


def _analyzed(run, model, has_prior):
  """Evaluates a model, and adds what is to see of latent space and samples."""
  asked, numbers = run.evaluation, []
  if has_prior:
    first, *numbers = asked['num_importance_samples']
    model = model.copy(
      num_importance_samples=first, num_posterior_steps=asked['regret_steps']
    )
  adapted = _adapted(model)
  elbo = 'elbo' if has_prior else 'log_prob'
  statistics = {
    f'elbo_adapted_{name}': (copy, elbo) for name, copy in adapted.items()
  }
  statistics['latent_adapted'] = (adapted['encoder'], 'latent')
  for number in numbers:
    bound = model.copy(num_importance_samples=number)
    statistics[f'log_prob_{number}'] = (bound, 'log_prob')
  found = run.evaluate(
    model,
    {**_scores(elbo, has_prior, numbers), _DEFAULT: stats.default_score(model)},
    recommended=_DEFAULT,
    statistics=statistics,
    keep=(elbo, *_PARTS, 'log_prob', 'latent', 'latent_adapted'),
    limits={'optimized_log_prob': asked['num_regret']} if has_prior else None,
  )
  found.information['notes'] = [_note(run, has_prior)]
  _add_adaptation(found, run)
  shown = {name: d for name, d in run.datasets.items() if name != run.train}
  found.add(
    evaluation.reconstructions(
      {'the model': model, 'the encoder adapted': adapted['encoder']},
      shown,
      batch_size=run.model['batch_size'],
    )
  )
  samplers = {'samples': model, 'samples_adapted': adapted['decoder']}
  if has_prior:
    found.add(evaluation.decoded_samples(samplers, seed=run.model['seed']))
  _add_distances(found, run, model, samplers if has_prior else {}, shown)
  spaces = ('latent', 'latent_adapted')
  found.add(evaluation.latent_space(model, found, run.datasets, spaces))
  return found.add(evaluation.extreme_images(found, run.compared, elbo))


def _adapted(model):
  """Copies whose networks normalize by the batch that they evaluate."""
  encoder = networks.with_batch_statistics(model.encoder)
  decoder = networks.with_batch_statistics(model.decoder)
  copies = (
    model.copy(encoder=encoder),
    model.copy(decoder=decoder),
    model.copy(encoder=encoder, decoder=decoder),
  )
  return dict(zip(_ADAPTED, copies, strict=True))


def _scores(elbo, has_prior, numbers):
  likelihood = stats.NegativeLogLikelihood
  scores = {'elbo': likelihood(elbo)}
  if has_prior:
    scores['importance_weighted'] = likelihood()
    for number in numbers:
      scores[f'importance_weighted_{number}'] = likelihood(f'log_prob_{number}')
    for name in _PARTS:
      part = name.removeprefix('elbo_')
      scores[part] = stats.ElboComponent(part)
    scores['likelihood_regret'] = stats.LikelihoodRegret()
  scores['typicality'] = stats.Typicality()
  scores['input_complexity'] = stats.InputComplexity()
  for name in _ADAPTED:
    scores[f'elbo_adapted_{name}'] = likelihood(f'elbo_adapted_{name}')
  for method in ('one_class_svm', 'mahalanobis'):
    scores[f'latent_{method}'] = stats.DensityOfStates(('latent',), method)
  return scores


def _note(run, has_prior):
  """What the scores and bits per dimension are of."""
  unit = {
    'categorical': 'the discrete image',
    'discretized_logistic': 'the discrete image',
  }.get(run.model.get('decoder'), 'a density of pixel values')
  if not has_prior:
    return (
      'The ELBO of an autoencoder, which has no prior, is the log-probability of '
      f'the image given its own latent, of {unit}: a score of reconstruction, and '
      'not a bound.'
    )
  number, *_ = run.evaluation['num_importance_samples']
  return (
    'The ELBO takes one sample of the posterior, and the divergence from the prior '
    'in closed form where there is one. Likelihood, bits per dimension, typicality, '
    'input complexity and likelihood regret are of the importance-weighted bound of '
    f'{number} samples, of {unit}. Likelihood regret is of the first '
    f'{run.evaluation["num_regret"]} images of each data set, after '
    f'{run.evaluation["regret_steps"]} steps that fit the posterior to each image.'
  )


def _add_adaptation(found, run):
  found.add(
    evaluation.score_table(
      found,
      {'none': 'elbo'} | {name: f'elbo_adapted_{name}' for name in _ADAPTED},
      'Batch normalization adapted to the batch',
      'The networks normalize by the statistics gathered in training (none), or '
      'the encoder, the decoder or both by those of the batch that is evaluated, '
      f'here {run.model["batch_size"]} images of one data set, or fewer at its '
      'end. What such a model says of an image depends on the images beside it, '
      'and an image by itself has no score. That all images of a batch come from '
      'one data set is knowledge that no detector of single images has.',
      column='adapted',
    )
  )


def _add_distances(found, run, model, samplers, shown):
  test, reconstruct = run.datasets[run.test], OneTrace(model.reconstruct)
  compared = shown | {
    f'{run.test}, reconstructed': (reconstruct(x) for x, _ in test)
  }
  compared |= {name: _sampled(run, m) for name, m in samplers.items()}
  classifier = evaluation.feature_classifier(
    run.load('train', batch_size=128, shuffle=True),
    run.load('test', batch_size=128, limit=_NUM_TESTED),
    run.evaluation['features_dir'] or os.path.join(run.folder, 'features'),
  )
  found.add(
    evaluation.feature_distances(*classifier, run.datasets[run.train], compared)
  )


def _sampled(run, model):
  """Batches of decoded samples of the prior, as large as the test batches."""
  decode = OneTrace(model.decode_images)
  for number, (x, _) in enumerate(run.datasets[run.test], start=1):
    latents = model.prior.sample(len(x), seed=[run.model['seed'], number])
    yield decode(latents)


def _arguments(image_shape, settings):
  """Returns the arguments that decide what an autoencoder is made of."""
  return {
    **_size(image_shape, settings),
    'likelihood': settings['decoder'],
    'likelihood_scale': settings['decoder_scale'],
  }


def _autoencoder(run):
  return distributions.autoencoder(
    **_arguments(run.image_shape, run.model), seed=run.model['seed']
  )


def _variational_autoencoder(run):
  options = {}
  if run.model['decoder'] == 'categorical':
    # 256 numbers for each value of each sample fill the memory.
    options['samples_per_pass'] = 1
  return distributions.variational_autoencoder(
    **_arguments(run.image_shape, run.model),
    seed=run.model['seed'],
    **options,
  )


def _flow_variational_autoencoder(run):
  return distributions.flow_variational_autoencoder(
    **_flow_arguments(run.image_shape, run.model), seed=run.model['seed']
  )


def _flow_arguments(image_shape, settings):
  """Returns the arguments that decide what one with a flow is made of."""
  return {
    **_size(image_shape, settings),
    'num_levels': settings['decoder_levels'],
    'num_steps': settings['decoder_steps'],
    'coupling_hidden_channels': settings['decoder_channels'],
  }


def _size(image_shape, settings):
  return {
    'image_shape': list(image_shape),
    'latent_size': settings['latent_size'],
    'hidden_channels': settings['vae_width'],
  }


def _train(run, make_model):
  """Trains by the evidence lower bound."""
  config = run.model
  with run.strategy.scope():
    model = training.VariationalModel(
      make_model(run),
      beta=config.get('beta', 1.0),
      warmup_steps=config.get('kl_warmup_steps', 0),
      free_bits=config.get('free_bits', 0.0),
      seed=config['seed'],
    )
    model.compile(
      training.adam(
        config['learning_rate'], warmup_steps=100, global_clipnorm=1.0
      )
    )
  return _fitted(run, model)


def _train_introspectively(run):
  config = run.model
  with run.strategy.scope():
    model = training.SoftIntrospectiveModel(
      _variational_autoencoder(run),
      beta_reconstruction=config['beta_reconstruction'],
      beta_kl=config['beta'],
      beta_negative=config['beta_negative'],
      num_vae_steps=config['num_vae_steps'],
      warmup_steps=config['kl_warmup_steps'],
      seed=config['seed'],
    )
    model.compile(
      training.adam(config['learning_rate']),
      training.adam(config['learning_rate']),
    )
  return _fitted(run, model)


def _fitted(run, model):
  record = run.fit(
    model,
    '',
    run.model,
    {'bound': stats.NegativeLogLikelihood()},
    epochs=run.model['epochs'],
  )
  return model.distribution, record


def _recipe(title, train, settings, has_prior=True, builder=None):
  return Recipe(
    title,
    functools.partial(_run, train=train, has_prior=has_prior),
    _SETTINGS | settings,
    _EVALUATION_SETTINGS | (_OF_PRIOR if has_prior else {}),
    builder=builder,
  )


autoencoder = _recipe(
  'Autoencoder',
  functools.partial(_train, make_model=_autoencoder),
  _DECODER,
  has_prior=False,
  builder=Builder('autoencoder', _arguments, training.VariationalModel),
)
_train_vae = functools.partial(_train, make_model=_variational_autoencoder)
variational_autoencoder = _recipe(
  'Variational autoencoder',
  _train_vae,
  _DECODER | _WARM_UP | _FREE_BITS,
  builder=Builder(
    'variational_autoencoder', _arguments, training.VariationalModel
  ),
)
beta_variational_autoencoder = _recipe(
  'beta-VAE',
  _train_vae,
  _DECODER
  | _WARM_UP
  | _FREE_BITS
  | {'beta': Setting(4.0, 'Weight of the divergence from the prior.')},
)
flow_variational_autoencoder = _recipe(
  'Variational autoencoder with a flow as decoder',
  functools.partial(_train, make_model=_flow_variational_autoencoder),
  _FLOW_DECODER | _WARM_UP | _FREE_BITS,
  builder=Builder(
    'flow_variational_autoencoder', _flow_arguments, training.VariationalModel
  ),
)
soft_introspective_autoencoder = _recipe(
  'Soft-IntroVAE', _train_introspectively, _DECODER | _WARM_UP | _INTROSPECTION
)
