# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a trained autoencoder makes of data sets."""

import collections
import functools
import itertools
import os

import experiment_data
import experiment_scores
import numpy as np
import tensorflow as tf
import vae_features
import vae_latents
import vae_training

import tfp_ood

__all__ = ['datasets', 'evaluate']

stats = tfp_ood.stats

_COMPONENTS = ('reconstruction', 'log_prior', 'posterior_entropy', 'kl')
# Which networks take the statistics of the batch that they evaluate.
_ADAPTATIONS = {
  'encoder': ('encoder',),
  'decoder': ('decoder',),
  'both': ('encoder', 'decoder'),
}
_LATENT_DENSITIES = ('one_class_svm', 'mahalanobis')
_NUM_RECONSTRUCTED = 10
_NUM_SAMPLES = 64
_NUM_EXTREMES = 16

# A score, and the name under which a run keeps each statistic that it takes.
_Scored = collections.namedtuple('_Scored', ['score', 'inputs'])


def datasets(evaluation, config, data_dir):
  """Loads all data sets to score, in the images' shape, test data first.

  Args:
    evaluation: `dict`, the part of the settings that names the data sets.
    config: `dict`, the model's settings.
    data_dir: folder of prepared TFDS data sets.

  Returns:
    `dict` from display names to `tf.data.Dataset`s.
  """
  limit = evaluation['num_evaluated']
  return {
    **experiment_data.in_distribution(config, data_dir, limit),
    **experiment_data.out_of_distribution(
      evaluation['out_of_distribution'], config, data_dir, limit
    ),
    **experiment_data.controls(config, data_dir, limit),
  }


def evaluate(
  model, datasets, evaluation, config, output_dir, features_dir, data_dir
):
  """Scores all data sets and analyses the scores.

  The scores that learn something learn it from training images.

  Args:
    model: the distribution, as trained.
    datasets: `dict`, as `datasets` returns it.
    evaluation: `dict` of settings.
    config: `dict` of the model's settings.
    output_dir: folder of the run.
    features_dir: folder of the classifier of the Frechet distances.
    data_dir: folder of prepared TFDS data sets.

  Returns:
    A part of the contents of results.json, and the arrays of scores.npz.
  """
  run = _Evaluation(model, datasets, evaluation, config, output_dir)
  run.export_detector()
  latents, arrays = vae_latents.analyse(
    model, datasets, run.statistics, config['seed']
  )
  frechet = vae_features.frechet_distances(
    _images(datasets[run.names[1]]),
    run.batches_to_compare(),
    config,
    features_dir,
    data_dir,
  )
  return run.results() | latents | {'frechet': frechet}, run.arrays() | arrays


class _Evaluation:
  """A trained autoencoder and all that it says of the data sets."""

  def __init__(self, model, datasets, evaluation, config, output_dir):
    self._model = model
    self._datasets = datasets
    self.names = list(datasets)
    self._evaluation = evaluation
    self._config = config
    self._output_dir = output_dir
    self._is_variational = vae_training.has_prior(config)
    self._bounds = {
      f'log_prob_{number}': model.copy(num_importance_samples=number)
      for number in evaluation.get('num_importance_samples', [])
    } or {'log_prob': model}
    # Of most scores.
    self._bound = next(iter(self._bounds))
    self._adapted = {
      name: model.copy(batch_statistics=networks)
      for name, networks in _ADAPTATIONS.items()
    }
    self.statistics = self._compute_statistics()
    self._fitted = self._fit_scores()
    self._scored = {
      score: {name: self._score(score, name) for name in self.names}
      for score in self._fitted
    }

  def results(self):
    """Returns what the evaluation adds to results.json."""
    scored, names = self._scored, self.names
    return {
      'bits_per_dim': {
        name: experiment_scores.mean_and_error(values['bits_per_dim'])
        for name, values in self.statistics.items()
      },
      'components': {
        name: {
          component: experiment_scores.mean_and_error(values[component])
          for component in self._components()
        }
        for name, values in self.statistics.items()
      },
      'auroc': experiment_scores.aurocs(scored, names),
      'metrics': experiment_scores.metrics(scored, names),
      'compared_with_elbo': self._comparisons(),
      'p_values': experiment_scores.p_values(scored, names),
    }

  def arrays(self):
    """Returns scores and statistics, and the images of the report."""
    arrays = {
      f'{name}/scores/{score}': by_dataset[name]
      for score, by_dataset in self._scored.items()
      for name in self.names
    } | {
      f'{name}/{component}': values[component].astype(np.float64)
      for name, values in self.statistics.items()
      for component in self._components()
    }
    arrays |= experiment_scores.extremes(
      self._datasets,
      {name: values['elbo'] for name, values in self.statistics.items()},
      _NUM_EXTREMES,
    )
    arrays |= self._reconstructions()
    if self._is_variational:
      arrays |= self._samples()
    return arrays

  def batches_to_compare(self):
    """Returns batches of images by what they are, test images first."""
    test = self._datasets[self.names[0]]
    batches = {
      name: _images(self._datasets[name])
      for name in (self.names[0], *self.names[2:])
    }
    batches[f'{self.names[0]}, reconstructed'] = (
      _as_pixels(self._model.reconstruct(images)) for images in _images(test)
    )
    if self._is_variational:
      sizes = [len(images) for images in _images(test)]
      for key, model in self._samplers().items():
        batches[key] = map(
          functools.partial(self._decoded_samples, model),
          sizes,
          itertools.count(),
        )
    return batches

  def export_detector(self):
    """Writes a calibrated detector for programs that have only TensorFlow."""
    detector = stats.Detector(
      self._bounds[self._bound], self._fitted['typicality'].score
    )
    detector.fit(self._datasets[self.names[0]])
    detector.export_saved_model(os.path.join(self._output_dir, 'detector'))

  def _components(self):
    """Names of the statistics that are the bound and its parts."""
    components = [f'elbo_{name}' for name in _COMPONENTS]
    return ['elbo', *(components if self._is_variational else [])]

  # ----------------------------------------------------------------- statistics

  def _compute_statistics(self):
    """Computes each data set's statistics, or reads those that are there."""
    sources = self._sources()

    @functools.cache
    def function(names):
      # All data sets share its one trace.
      return tf.function(
        lambda images: _from_sources(sources, images, names),
        reduce_retracing=True,
      )

    @functools.cache
    def optimized():
      bound = self._bounds[self._bound]
      steps = self._evaluation['regret_steps']
      return tf.function(
        lambda images: {
          self._optimized_name(): bound.optimized_log_prob(images, steps)
        },
        reduce_retracing=True,
      )

    result = {}
    for name, dataset in self._datasets.items():
      keep = self._keeper(name, dataset)
      values = keep(
        sources,
        lambda missing, name=name, dataset=dataset: experiment_scores.compute(
          function(missing), name, dataset
        ),
      )
      if self._is_variational:
        # By itself: it takes longest, and what is above is safe.
        values |= keep(
          [self._optimized_name()],
          lambda missing, name=name, dataset=dataset: experiment_scores.compute(
            optimized(),
            f'{name} by likelihood regret',
            self._first_batches(dataset),
          ),
        )
      values['bits_per_dim'] = stats.bits_per_dim(
        values[self._bound].astype(np.float64),
        self._model.event_shape.num_elements(),
      ).numpy()
      result[name] = values
    return result

  def _sources(self):
    """Returns what computes each statistic, and under which name, by ours."""
    plain = stats.Statistics(self._model)
    sources = {
      name: (plain, name)
      for name in (*self._components(), 'latent', 'png_bits_per_dim')
    }
    sources |= {
      name: (stats.Statistics(bound), 'log_prob')
      for name, bound in self._bounds.items()
    }
    for name, adapted in self._adapted.items():
      statistics = stats.Statistics(adapted)
      sources[f'elbo_adapted_{name}'] = (statistics, 'elbo')
      if name == 'encoder':
        sources['latent_adapted'] = (statistics, 'latent')
    return sources

  def _keeper(self, name, dataset):
    """Returns `keep_statistics` of a data set, as a function of what is needed."""
    made_by = experiment_scores.fingerprint(
      [os.path.join(self._output_dir, 'training.json')]
    )
    count = sum(len(labels) for _, labels in dataset)

    def is_valid(key, values):
      """Tells statistics of another --num_evaluated or --num_regret."""
      if key.startswith('optimized'):
        return len(values) == min(count, self._evaluation['num_regret'])
      return len(values) == count

    return lambda needed, compute_missing: experiment_scores.keep_statistics(
      experiment_scores.statistics_path(self._output_dir, name),
      needed,
      compute_missing,
      lambda key: made_by,
      is_valid,
    )

  def _optimized_name(self):
    return f'optimized_{self._bound}_{self._evaluation["regret_steps"]}_steps'

  def _first_batches(self, dataset):
    images = experiment_data.first_images(
      dataset, self._evaluation['num_regret']
    )
    return tf.data.Dataset.from_tensor_slices(
      (images, np.zeros(len(images)))
    ).batch(self._config['batch_size'])

  # --------------------------------------------------------------------- scores

  def _fit_scores(self):
    fitted = self._scores()
    training = self.statistics[self.names[1]]
    for score, inputs in fitted.values():
      score.fit({key: training[name] for key, name in inputs.items()})
    return fitted

  def _scores(self):
    bound = self._bound
    likelihood = stats.NegativeLogLikelihood
    scores = {'elbo': _Scored(likelihood(), {'log_prob': 'elbo'})}
    if self._is_variational:
      scores |= {
        f'importance_weighted_{name.rpartition("_")[2]}': _Scored(
          likelihood(), {'log_prob': name}
        )
        for name in self._bounds
      }
      for component in _COMPONENTS:
        score = stats.ElboComponent(component)
        scores[component] = _Scored(score, {s: s for s in score.statistics})
      scores['likelihood_regret'] = _Scored(
        stats.LikelihoodRegret(),
        {'log_prob': bound, 'optimized_log_prob': self._optimized_name()},
      )
    scores |= {
      'typicality': _Scored(stats.Typicality(), {'log_prob': bound}),
      'input_complexity': _Scored(
        stats.InputComplexity(),
        {
          'bits_per_dim': 'bits_per_dim',
          'png_bits_per_dim': 'png_bits_per_dim',
        },
      ),
    }
    scores |= {
      f'elbo_adapted_{name}': _Scored(
        likelihood(), {'log_prob': f'elbo_adapted_{name}'}
      )
      for name in _ADAPTATIONS
    }
    scores |= {
      f'latent_{method}': _Scored(
        stats.DensityOfStates(('latent',), method), {'latent': 'latent'}
      )
      for method in _LATENT_DENSITIES
    }
    return scores

  def _score(self, score, name):
    """Scores the images of a data set, or as many as have all its statistics."""
    score, inputs = self._fitted[score]
    values = self.statistics[name]
    count = min(len(values[key]) for key in inputs.values())
    return experiment_scores.in_pieces(
      score, {key: values[kept][:count] for key, kept in inputs.items()}
    )

  def _comparisons(self):
    """Tests each score's AUROC against that of the ELBO, on the same images."""
    result = {}
    for score, by_dataset in self._scored.items():
      if score != 'elbo':
        pair = {score: by_dataset} | {
          'elbo': {
            name: values[: len(by_dataset[name])]
            for name, values in self._scored['elbo'].items()
          }
        }
        result |= experiment_scores.comparisons(pair, self.names, 'elbo')
    return result

  # --------------------------------------------------------------------- images

  def _reconstructions(self):
    """The first images of the data sets, and what becomes of them."""
    arrays = {}
    for name, dataset in self._datasets.items():
      # All of a batch: the adapted encoder sees the others too.
      images = experiment_data.first_images(dataset, self._config['batch_size'])
      for key, pixels in {
        'original': images,
        'reconstruction': self._model.reconstruct(images).numpy(),
        'reconstruction_adapted': (
          self._adapted['encoder'].reconstruct(images).numpy()
        ),
      }.items():
        arrays[f'{name}/{key}'] = _as_pixels(pixels[:_NUM_RECONSTRUCTED])
    return arrays

  def _samplers(self):
    """Returns the model, and itself with a decoder adapted to its samples."""
    return {
      'samples': self._model,
      'samples_adapted': self._adapted['decoder'],
    }

  def _samples(self):
    return {
      key: self._decoded_samples(model, _NUM_SAMPLES, 0)
      for key, model in self._samplers().items()
    }

  def _decoded_samples(self, model, size, number):
    """Decodes samples of the prior, without the decoder's noise."""
    seed = [self._config['seed'], number + 1]
    latents = model.prior.sample(size, seed=seed)
    return _as_pixels(model.decode_images(latents))


def _images(dataset):
  return (images for images, _ in dataset)


def _as_pixels(values):
  return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _from_sources(sources, images, names):
  """Computes statistics of images, those of one model together."""
  together = {}
  for name in names:
    statistics, key = sources[name]
    together.setdefault(statistics, {})[name] = key
  result = {}
  for statistics, keys in together.items():
    values = statistics(images, keys.values())
    result |= {name: values[key] for name, key in keys.items()}
  return result
