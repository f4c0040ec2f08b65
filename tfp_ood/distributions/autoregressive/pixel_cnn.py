# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""PixelCNN++ as a distribution over raw pixels."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.autoregressive._raster_sampling import draw_images
from tfp_ood.distributions.autoregressive.pixel_heads import PIXEL_HEADS
from tfp_ood.distributions.raw_pixel_distribution import RawPixelDistribution
from tfp_ood.networks.pixel_cnn_network import PixelCnnNetwork
from tfp_ood.pretrained.factories import with_weights

__all__ = ['PixelCnn', 'pixel_cnn']


class PixelCnn(RawPixelDistribution):
  """A distribution over images, pixel after pixel.

  From the top row to the bottom row and from left to right,

      log_prob_map(x)[i, j] = log p(x[i, j] | all pixels before it)
      log_prob(x) = sum_{i, j} log_prob_map(x)[i, j]

  and within a pixel, each channel is given those before it. One pass of the network
  gives the parameters of all pixels; a pixel's own depend on earlier ones alone.

  Beyond `log_prob`, the statistics of the model are

  | name | what it is |
  |---|---|
  | `log_prob_map` | log-probability of each pixel, nats, `[height, width]` |

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.PixelCnn(
  ...     [8, 8, 3], num_filters=4, num_blocks=1, num_levels=2)
  >>> images = tf.zeros([5, 8, 8, 3], tf.uint8)
  >>> model.log_prob(images).shape, model.log_prob_map(images).shape
  (TensorShape([5]), TensorShape([5, 8, 8]))

  #### References

  [1]: Tim Salimans, Andrej Karpathy, Xi Chen, Diederik P Kingma. PixelCNN++:
       Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
       Other Modifications. In _International Conference on Learning
       Representations_, 2017. https://arxiv.org/abs/1701.05517
  """

  def __init__(
    self,
    image_shape,
    num_values=256,
    likelihood='logistic_mixture',
    num_components=5,
    num_filters=32,
    num_blocks=5,
    num_levels=2,
    dropout_rate=0.0,
    seed=None,
    dtype=tf.float32,
    compute_dtype=None,
    validate_args=False,
    allow_nan_stats=True,
    name='pixel_cnn',
  ):
    """Instantiates the distribution.

    Args:
      image_shape: `[height, width, channels]`, Python `int`s.
      num_values: Python `int`, from 2 to 256.
      likelihood: `'logistic_mixture'` or `'categorical'`, of a pixel.
      num_components: Python `int`, of the mixture of a pixel.
      num_filters: Python `int`, the width of the network.
      num_blocks: Python `int`, residual blocks at a resolution.
      num_levels: Python `int`, resolutions.
      dropout_rate: Python `float`, in training.
      seed: Python `int` or stateless PRNG seed of the weights.
      dtype: floating dtype of the weights and of log-probabilities.
      compute_dtype: the dtype of the convolutions, such as `tf.bfloat16`. Default:
        `dtype`.
      validate_args: Python `bool`, as in TFP; pixels are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the likelihood is unknown, or height or width cannot be halved
        `num_levels - 1` times.
    """
    parameters = dict(locals())
    super().__init__(
      image_shape,
      num_values,
      dtype,
      parameters,
      validate_args,
      allow_nan_stats,
      name,
    )
    if likelihood not in PIXEL_HEADS:
      raise ValueError(
        f'{name}: `likelihood` must be one of {", ".join(PIXEL_HEADS)}, got '
        f'{likelihood!r}.'
      )
    height, width, channels = self.event_shape
    if height % 2 ** (num_levels - 1) or width % 2 ** (num_levels - 1):
      raise ValueError(
        f'{name}: images of {height} x {width} pixels cannot be halved '
        f'{num_levels - 1} times; take fewer levels, or resize them.'
      )
    seeds = tfp.random.split_seed(stateless_seed(seed), n=2)
    self._draw = None
    self._network = PixelCnnNetwork(
      channels,
      num_filters,
      num_blocks,
      num_levels,
      dropout_rate,
      seed=seeds[0],
      dtype=dtype,
      compute_dtype=compute_dtype,
    )
    mixture = (
      {'num_components': num_components}
      if likelihood == 'logistic_mixture'
      else {}
    )
    self._head = PIXEL_HEADS[likelihood](
      num_filters, channels, num_values, seed=seeds[1], dtype=dtype, **mixture
    )

  @property
  def is_differentiable(self):
    """Whether `log_prob` can be differentiated by the pixels."""
    return self._head.is_differentiable

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return ('log_prob', 'log_prob_map')

  def statistics(self, images, names):
    """Computes `log_prob` and its map, in one pass.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor`, `[batch]` or `[batch, height, width]`, in
      nats.
    """
    by_pixel = self.log_prob_map(images)
    values = {
      'log_prob': tf.reduce_sum(by_pixel, axis=[-2, -1]),
      'log_prob_map': by_pixel,
    }
    return {name: values[name] for name in names}

  def log_prob_map(self, images, name='log_prob_map'):
    """The log-probability of each pixel given those before it.

    Args:
      images: array-like of raw pixels, `[batch..., height, width, channels]`.
      name: Python `str` given to the operations.

    Returns:
      `Tensor` of shape `[batch..., height, width]`, in nats; its sum over pixels is
      `log_prob`.
    """
    with self._name_and_control_scope(name):
      return self._log_prob_map(self.check(images))

  def complete(self, images, is_given, seed=None, name='complete'):
    """Draws the rest of images, given some of their pixels.

    What is drawn depends on the pixels before it, given or drawn, and not on those
    after it: with rows from the top given, it is a sample of the conditional
    distribution.

    Args:
      images: array-like of raw pixels, `[batch, height, width, channels]`.
      is_given: boolean array-like, `[height, width]`, the pixels to keep.
      seed: Python `int` or stateless PRNG seed.
      name: Python `str` given to the operations.

    Returns:
      `uint8` `Tensor` like `images`.

    Raises:
      ValueError: if `is_given` is not `[height, width]`.
    """
    with self._name_and_control_scope(name):
      pixels = tf.cast(self.check(images), self._log_prob_dtype)
      is_given = tf.convert_to_tensor(is_given, tf.bool)
      if not is_given.shape.is_compatible_with(self.event_shape[:2]):
        raise ValueError(
          f'{type(self).__name__}.complete: `is_given` must have shape '
          f'{self.event_shape[:2]}, got {is_given.shape}.'
        )
      return self._drawn(pixels, is_given, seed)

  def training_loss(self, images, seed=None):
    """Minus the log-probability, with dropout.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      seed: PRNG seed of the dropout; `None` for none.

    Returns:
      `Tensor` of shape `[batch]`, in nats.
    """
    by_pixel = self._log_prob_map(self.check(images), seed)
    return -tf.reduce_sum(by_pixel, axis=[-2, -1])

  def _log_prob(self, images):
    return tf.reduce_sum(self._log_prob_map(images), axis=[-2, -1])

  def _log_prob_map(self, images, seed=None):
    def of_batch(images):
      pixels = tf.cast(images, self._log_prob_dtype)
      features = self._network(self._scaled(pixels), seed)
      return self._head.log_prob(features, pixels)

    return self._of_batch(of_batch, images)

  def _sample_n(self, n, seed=None):
    shape = tf.concat([[n], self.event_shape_tensor()], axis=0)
    given = tf.ensure_shape(
      tf.zeros(shape, self._log_prob_dtype), [None, *self.event_shape]
    )
    return self._drawn(given, tf.zeros(self.event_shape[:2], tf.bool), seed)

  def _drawn(self, given, is_given, seed):
    if self._draw is None:
      # Eagerly, each operation of each pixel would be dispatched separately.
      event_shape = self.event_shape
      self._draw = tf.function(
        lambda *args: draw_images(
          self._network, self._head, self._scaled, *args
        ),
        input_signature=[
          tf.TensorSpec([None, *event_shape], self._log_prob_dtype),
          tf.TensorSpec(event_shape[:2], tf.bool),
          tf.TensorSpec([2], tf.int32),
        ],
        autograph=False,
      )
    images = with_one_more_if_empty(
      lambda given: self._draw(given, is_given, stateless_seed(seed)), given
    )
    return tf.cast(images, self.dtype)

  def _scaled(self, pixels):
    return 2 * pixels / (self.num_values - 1) - 1


@with_weights
def pixel_cnn(image_shape, name='pixel_cnn', **kwargs):
  """Returns a `PixelCnn`.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s.
    name: Python `str`, the name of the distribution.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a trained
      model. What decides the variables, the shape of images included, is then to be
      left out.
    **kwargs: passed to `PixelCnn`.

  Returns:
    `PixelCnn`.

  #### Example

  >>> import tfp_ood
  >>> model = tfp_ood.distributions.pixel_cnn([28, 28, 1], num_blocks=1)
  >>> model.event_shape
  TensorShape([28, 28, 1])
  """
  return PixelCnn(image_shape, name=name, **kwargs)
