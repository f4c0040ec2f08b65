# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Statistics of images under models, from which scores are made."""

import tensorflow as tf

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood.stats.compression import (
  compressed_bits_per_dim,
  png_bits_per_dim,
)
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.stats.scores.score_norm import log_prob_and_score_norm

__all__ = ['ELBO_COMPONENTS', 'LATENT_MODES', 'Statistics']

# Components of the evidence lower bound of a variational autoencoder.
ELBO_COMPONENTS = ('reconstruction', 'log_prior', 'posterior_entropy', 'kl')

# How a neural rendering model may normalize its latent term.
LATENT_MODES = ('eta', 'mode_normalised', 'rpn', 'layerwise')


class Statistics:
  """Named statistics of images under models, each computed once.

  Scores are made of a few statistics and share most of them. Asked for several,
  this runs every model once:

  | name | from | what it is |
  |---|---|---|
  | `log_prob` | distribution | log-probability, nats |
  | `bits_per_dim` | distribution | the same in bits per dimension |
  | `density`, `volume` | distribution | its two terms, of a flow |
  | `score_norm` | distribution | norm of its gradient |
  | `optimized_log_prob` | distribution | with each image's best posterior |
  | `elbo` | distribution | evidence lower bound, nats |
  | `elbo_reconstruction` | distribution | expected log-probability given z |
  | `elbo_log_prior` | distribution | expected log-density of z, its latent |
  | `elbo_posterior_entropy` | distribution | of z given the image |
  | `elbo_kl` | distribution | minus the sum of the last two |
  | `latent` | distribution | mean of z given the image, `[batch, size]` |
  | `logits` | classifier | of each class, `[batch, classes]` |
  | `nrm_log_prob` | classifier | bound on the log-probability, nats |
  | `nrm_latent_eta` | classifier | its latent term, not normalized |
  | `nrm_latent_mode_normalised` | classifier | relative to the mode |
  | `nrm_latent_rpn` | classifier | as the rendering path loss |
  | `nrm_latent_layerwise` | classifier | layer by layer |
  | `nrm_layer_etas` | classifier | shares in `eta`, `[batch, layers]` |
  | `nrm_layer_reconstructions` | classifier | `[batch, layers + 1]` |
  | `background_log_prob` | background | log-probability, nats |
  | `ensemble_log_probs` | ensemble | log-probabilities, `[batch, members]` |
  | `png_bits_per_dim` | the image | size as PNG, in graph |
  | `compressed_bits_per_dim` | the image | best of several, by Pillow |

  A model is any object with `log_prob(images)`, such as a TFP distribution over
  images; if its `dtype` is floating, images are cast to it. `density` and
  `volume` need a method `log_prob_terms(images)`, as
  `tfp_ood.distributions.ImageFlow` has, `optimized_log_prob` a method of that
  name. `nrm_layer_reconstructions` are minus the squared errors of the rendered
  image and of each layer's rendered features.

  Statistics of the evidence lower bound need a method `elbo_terms(images)`, and
  `latent` one `codes(images)`, as `tfp_ood.distributions.VariationalAutoencoder`
  has. `log_prob` is that model's own bound, which with several importance samples
  is tighter than `elbo`.

  A `tfp_ood.distributions.NeuralRenderingModel` is a classifier read backwards,
  and gives the statistics of one. Its `log_prob` is of label, switches
  and image together: those of images alone, `log_prob` to `score_norm`, it does
  not give. As a background or in an ensemble its log-probability is
  `nrm_log_prob`.

  #### Example

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> normal = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 50.), [8, 8, 3])
  >>> statistics = Statistics(normal)
  >>> images = tf.zeros([5, 8, 8, 3], tf.uint8)
  >>> values = statistics(images, ['log_prob', 'png_bits_per_dim'])
  >>> [value.shape for value in values.values()]
  [TensorShape([5]), TensorShape([5])]
  """

  def __init__(self, distribution, background=None, ensemble=()):
    """Instantiates the statistics.

    Args:
      distribution: the model of the in-distribution images.
      background: the model of the background; see `likelihood_ratio`.
      ensemble: models of the in-distribution images, for `waic`.
    """
    self.distribution = distribution
    self._renders = _renders(distribution)
    self.background = background
    self.ensemble = tuple(ensemble)

  @property
  def models(self):
    """All models, each once, in a fixed order."""
    models = [self.distribution, self.background, *self.ensemble]
    return list({id(m): m for m in models if m is not None}.values())

  @property
  def names(self):
    """Names of the statistics that can be computed, a tuple."""
    has_terms = hasattr(self.distribution, 'log_prob_terms')
    available = {
      **dict.fromkeys(_OF_LOG_PROB, not self._renders),
      **dict.fromkeys(_OF_RENDERING, self._renders),
      'density': has_terms and not self._renders,
      'volume': has_terms and not self._renders,
      'optimized_log_prob': hasattr(self.distribution, 'optimized_log_prob'),
      **dict.fromkeys(_OF_ELBO, hasattr(self.distribution, 'elbo_terms')),
      'latent': hasattr(self.distribution, 'codes'),
      'background_log_prob': self.background is not None,
      'ensemble_log_probs': len(self.ensemble) >= 2,
    }
    return tuple(name for name in _NAMES if available.get(name, True))

  def check(self, names):
    """Raises unless all statistics named can be computed.

    Args:
      names: iterable of `str`.

    Raises:
      ValueError: if one is unknown, or its model was not given.
    """
    for name in names:
      if name not in _NAMES:
        raise ValueError(
          f'Statistics: unknown statistic {name!r}; there are '
          f'{", ".join(_NAMES)}.'
        )
      if name not in self.names:
        is_of_log_prob = self._renders and name in _OF_LOG_PROB
        needs = _NEEDS['log_prob'] if is_of_log_prob else _NEEDS[name]
        raise ValueError(f'Statistics: {name!r} needs {needs}.')

  @property
  def image_shape(self):
    """`TensorShape` of one image; of unknown rank if the model has none."""
    if self._renders:
      # The shape of the joint event would take samples of all its parts.
      return self.distribution.image_shape
    # A model without an `event_shape` is asked about the batch only.
    return tf.TensorShape(getattr(self.distribution, 'event_shape', None))

  def as_batch(self, images):
    """Converts to a `Tensor`, with a check that it is a batch of images.

    Args:
      images: array-like of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `Tensor` of shape `[batch, *image_shape]`.

    Raises:
      ValueError: if `images` have another shape, as far as it is known; what a
        graph does not know is checked when it runs.
    """
    images = tf.convert_to_tensor(images, name='images')
    shape = tf.TensorShape([None]).concatenate(self.image_shape)
    rank = images.shape.rank
    if rank is None or rank < 2 or not images.shape.is_compatible_with(shape):
      raise ValueError(
        'Statistics: `images` must be a batch, '
        f'{shape if shape.rank else "[batch, height, width, channels]"}; got '
        f'shape {images.shape}.'
      )
    return images if shape.rank is None else tf.ensure_shape(images, shape)

  def __call__(self, images, names):
    """Computes statistics.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`, the
        batch of any size.
      names: iterable of names of statistics.

    Returns:
      `dict` from each name to a `Tensor`, of shape `[batch]` where the table of
      the class says no other.

    Raises:
      ValueError: if a statistic is unknown or its model was not given, or the
        images are not a batch.
    """
    names = tuple(names)
    self.check(names)
    images = self.as_batch(images)
    values = self._of_distribution(
      _in_dtype_of(self.distribution, images), names
    )
    if 'background_log_prob' in names:
      values['background_log_prob'] = _log_prob(self.background, images)
    if 'ensemble_log_probs' in names:
      values['ensemble_log_probs'] = tf.stack(
        [_log_prob(member, images) for member in self.ensemble], axis=-1
      )
    if 'png_bits_per_dim' in names:
      values['png_bits_per_dim'] = png_bits_per_dim(images)
    if 'compressed_bits_per_dim' in names:
      values['compressed_bits_per_dim'] = compressed_bits_per_dim(images)
    return {name: values[name] for name in names}

  def _of_distribution(self, images, names):
    """Runs the distribution once, and back once if its gradient is asked for."""
    needs = set(names)
    values = {}
    if 'optimized_log_prob' in needs:
      values['optimized_log_prob'] = self.distribution.optimized_log_prob(
        images
      )
    if needs & _OF_ELBO:
      values.update(_of_elbo(self.distribution, images))
    if 'latent' in needs:
      values['latent'] = _latent(self.distribution, images)
    if needs & set(_OF_RENDERING):
      values.update(self._of_rendering(images, needs))
    if not needs & _OF_LOG_PROB:
      return values
    # The terms cost no more than their sum.
    has_terms = hasattr(self.distribution, 'log_prob_terms')
    log_prob = (
      self.distribution.log_prob_terms
      if has_terms
      else self.distribution.log_prob
    )
    if 'score_norm' in needs:
      result, values['score_norm'] = log_prob_and_score_norm(log_prob, images)
    else:
      result = log_prob(images)
    if has_terms:
      values['density'], values['volume'] = result
      result = values['density'] + values['volume']
    values['log_prob'] = result
    if 'bits_per_dim' in needs:
      event_size = self.distribution.event_shape.num_elements()
      values['bits_per_dim'] = bits_per_dim(result, event_size)
    return values

  def _of_rendering(self, images, needs):
    """Goes up the classifier and back once."""
    names = {name: _OF_RENDERING[name] for name in needs & set(_OF_RENDERING)}
    values = _rendering_statistics(self.distribution, images, names.values())
    return {name: values[own] for name, own in names.items()}


def _renders(model):
  """Whether a model is a classifier read backwards."""
  return 'latent_eta' in getattr(model, 'statistics_names', ())


def _rendering_statistics(model, images, names):
  return with_one_more_if_empty(
    lambda images: model.statistics(images, names), images
  )


def _of_elbo(model, images):
  """Takes the evidence lower bound apart, in one pass."""
  terms = with_one_more_if_empty(model.elbo_terms, images)
  return {
    'elbo': terms.reconstruction + terms.log_prior + terms.posterior_entropy,
    'elbo_reconstruction': terms.reconstruction,
    'elbo_log_prior': terms.log_prior,
    'elbo_posterior_entropy': terms.posterior_entropy,
    'elbo_kl': -(terms.log_prior + terms.posterior_entropy),
  }


def _latent(model, images):
  """One latent for each image, as a vector."""
  codes = model.codes(images)
  return tf.reshape(codes, [-1, codes.shape[1:].num_elements()])


def _log_prob(model, images):
  if _renders(model):
    return _rendering_statistics(model, images, ['log_prob'])['log_prob']
  return model.log_prob(_in_dtype_of(model, images))


def _in_dtype_of(model, images):
  """Casts for TFP's own distributions, which take no `uint8`."""
  dtype = getattr(model, 'dtype', None)
  if isinstance(dtype, tf.DType) and dtype.is_floating:
    return tf.cast(images, dtype)
  return images


_OF_LOG_PROB = {'log_prob', 'bits_per_dim', 'density', 'volume', 'score_norm'}
_OF_ELBO = {'elbo', *(f'elbo_{name}' for name in ELBO_COMPONENTS)}
# By the names that the model gives them.
_OF_RENDERING = {
  'logits': 'logits',
  'nrm_log_prob': 'log_prob',
  'nrm_latent_eta': 'latent_eta',
  'nrm_latent_mode_normalised': 'latent_mode_normalized',
  'nrm_latent_rpn': 'latent_rpn',
  'nrm_latent_layerwise': 'latent_layerwise',
  'nrm_layer_etas': 'layer_etas',
  'nrm_layer_reconstructions': 'layer_reconstructions',
}
_NEEDS = {
  **dict.fromkeys(
    _OF_RENDERING,
    'a classifier read backwards, NeuralRenderingModel.from_keras(classifier)',
  ),
  'log_prob': (
    'a distribution over images, but the `log_prob` of a NeuralRenderingModel '
    "is of label, switches and image together; use 'nrm_log_prob' or another "
    'statistic whose name starts with nrm (the scores RenderingLogProb, '
    'RenderingLatent, RenderingReconstruction)'
  ),
  'density': 'a distribution with a method `log_prob_terms`',
  'volume': 'a distribution with a method `log_prob_terms`',
  'optimized_log_prob': (
    'a distribution with an encoder, that is with a method '
    '`optimized_log_prob(images)`'
  ),
  **dict.fromkeys(
    _OF_ELBO,
    'a distribution with a method `elbo_terms`, such as a VariationalAutoencoder',
  ),
  'latent': (
    'a distribution with a method `codes`, such as a VariationalAutoencoder'
  ),
  'background_log_prob': 'the argument `background`',
  'ensemble_log_probs': 'at least two models in the argument `ensemble`',
}
_NAMES = (
  'log_prob',
  'bits_per_dim',
  'density',
  'volume',
  'score_norm',
  'optimized_log_prob',
  'elbo',
  *(f'elbo_{name}' for name in ELBO_COMPONENTS),
  'latent',
  *_OF_RENDERING,
  'background_log_prob',
  'ensemble_log_probs',
  'png_bits_per_dim',
  'compressed_bits_per_dim',
)
