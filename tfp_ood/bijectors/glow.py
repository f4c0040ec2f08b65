# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow: a multi-scale flow of images."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._pixels import check_image_shape
from tfp_ood._seeds import stateless_seed
from tfp_ood._variables import make_variables
from tfp_ood.bijectors._flags import is_set
from tfp_ood.bijectors._pixelwise_affine import PixelwiseAffine
from tfp_ood.bijectors._vector_to_image import VectorToImage
from tfp_ood.bijectors.activation_normalization import ActivationNormalization
from tfp_ood.bijectors.additive_coupling import AdditiveCoupling
from tfp_ood.bijectors.affine_coupling import AffineCoupling
from tfp_ood.bijectors.coupling import Coupling
from tfp_ood.bijectors.factor_out import FactorOut
from tfp_ood.bijectors.fused import forward_and_log_det, inverse_and_log_det
from tfp_ood.bijectors.initialization import inverse_and_initial_values
from tfp_ood.bijectors.invertible_conv_1x1 import InvertibleConv1x1
from tfp_ood.bijectors.linear_part import inverse_linear_part
from tfp_ood.bijectors.scan import Scan
from tfp_ood.bijectors.squeeze import Squeeze
from tfp_ood.networks.coupling_network import CouplingNetwork
from tfp_ood.networks.zero_convolution import ZeroConvolution

__all__ = ['Glow']

_MAX_STORED_BYTES = 32 * 2**20
# As measured in a loop: what a step keeps beside the outputs of its network's hidden
# layers.
_STORED_IMAGES = 8
# Levels that store activations are unrolled up to this many steps.
_MAX_UNROLLED_STEPS = 8
_COUPLINGS = {'affine': AffineCoupling, 'additive': AdditiveCoupling}


class Glow(VectorToImage):
  """Map a latent vector to an image through `num_levels` scales of a flow.

  From image to latent, each level squeezes blocks of 2x2 pixels into channels,
  runs `num_steps` steps of activation normalization, invertible 1x1 convolution
  and coupling, and factors out half of the channels; the last level keeps all of
  them. The steps of a level are one `Scan`, or a `tfp.bijectors.Chain` if
  `network_fn` makes the networks.

  The latent has `height * width * channels` dimensions, the deepest level first;
  `split_latent` splits it into the latents of the levels. Pixels are expected to
  be of order one: `tfp_ood.distributions.ImageFlow` scales raw pixels. Before
  its first use a flow must see data: `tfp_ood.bijectors.initialize(glow, images)`.

  With additive couplings the volume is constant: the log-determinant is the same
  for all images, and `is_constant_jacobian` is true. This is the flow of the
  second-order analysis [2], which isolates the contribution of the density.

  #### Examples

  >>> import numpy as np
  >>> import tfp_ood
  >>> glow = tfp_ood.bijectors.Glow(
  ...     [8, 8, 3], num_levels=2, num_steps=2, hidden_channels=4, seed=1)
  >>> images = np.random.default_rng(0).uniform(size=[16, 8, 8, 3])
  >>> latents = tfp_ood.bijectors.initialize(glow, images.astype(np.float32))
  >>> latents.shape
  TensorShape([16, 192])
  >>> [level.shape.as_list() for level in glow.split_latent(latents)]
  [[16, 2, 2, 24], [16, 4, 4, 6]]

  #### References

  [1]: Diederik P Kingma, Prafulla Dhariwal. Glow: Generative Flow with
       Invertible 1x1 Convolutions. In _Neural Information Processing Systems_,
       2018. https://arxiv.org/abs/1807.03039
  [2]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Dilan Gorur, Balaji
       Lakshminarayanan. Do Deep Generative Models Know What They Don't Know? In
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  """

  def __init__(
    self,
    image_shape,
    num_levels=3,
    num_steps=32,
    hidden_channels=512,
    coupling='affine',
    network_fn=None,
    seed=None,
    recompute='auto',
    compute_dtype=None,
    dtype=tf.float32,
    validate_args=False,
    name='glow',
  ):
    """Instantiates the `Glow` bijector.

    Args:
      image_shape: `[height, width, channels]`, Python `int`s; height and width
        must be divisible by `2**num_levels`.
      num_levels: Python `int`, the number of scales.
      num_steps: Python `int`, the number of steps of each level.
      hidden_channels: Python `int`, the width of the default networks.
      coupling: `'affine'`, `'additive'` or a subclass of `Coupling` whose
        constructor takes a network. The priors of what leaves a level are
        couplings of the same class.
      network_fn: callable `network_fn(input_channels, output_channels, seed=...)`
        that returns a new network for a coupling, such as a built Keras network;
        `seed` is a Python `int`. The weights of arbitrary networks cannot be
        stacked, so the steps of a level are then a `tfp.bijectors.Chain`: the
        graph grows with `num_steps`, and activations are stored. Default:
        `tfp_ood.networks.CouplingNetwork`s in a `Scan`.
      seed: Python `int` or stateless PRNG seed of the weights.
      recompute: Python `bool`, whether the gradient recovers activations
        instead of storing them; see `Scan`. `'auto'` stores them, which is faster,
        where they take at most 32 MiB an image, that is 2 GiB for a batch of 64; the
        estimate is the outputs of the hidden layers and eight arrays of the size of
        the images, for each step. A chain always stores them. Levels that store them
        are unrolled if they have at most eight steps.
      compute_dtype: the dtype of the default networks' convolutions, such as
        `tf.bfloat16`. Default: `dtype`.
      dtype: the dtype of the weights, latents and images.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the image cannot be halved `num_levels` times, or another
        argument is not as described.
      TypeError: if `network_fn` returns something other than a network.
    """
    parameters = dict(locals())
    image_shape = _check_sizes(
      image_shape, num_levels, num_steps, hidden_channels
    )
    if network_fn is not None and compute_dtype is not None:
      raise ValueError(
        'Glow: `compute_dtype` is for the default networks; those of '
        '`network_fn` choose their own.'
      )
    with tf.name_scope(name) as name:
      self._coupling_class = _coupling_class(coupling)
      self._network_fn = network_fn
      self._hidden_channels = hidden_channels
      self._num_steps = num_steps
      self._compute_dtype = compute_dtype
      self._weights_dtype = tf.as_dtype(dtype)
      if recompute == 'auto':
        recompute = self._bytes_of_activations(image_shape, num_levels) > (
          _MAX_STORED_BYTES
        )
      self._recompute = recompute
      self._level_shapes = []
      self._flow = self._level(image_shape, num_levels, stateless_seed(seed))
      self._initialized = tf.Variable(
        False, trainable=False, name='initialized'
      )
      super().__init__(
        image_shape,
        is_constant_jacobian=self._flow.is_constant_jacobian,
        dtype=dtype,
        validate_args=validate_args,
        parameters=parameters,
        name=name,
      )

  @property
  def flow(self):
    """The `tfp.bijectors.Chain` that does the work, nested level in level."""
    return self._flow

  @property
  def level_shapes(self):
    """Shapes of the levels' latents, deepest first."""
    return [list(shape) for shape in self._level_shapes]

  @property
  def initialized(self):
    """`tf.Variable`, whether the flow has seen data or been restored."""
    return self._initialized

  def split_latent(self, latent):
    """Splits a latent vector into the latents of the levels.

    Args:
      latent: `Tensor` of shape `[batch..., height * width * channels]`.

    Returns:
      List of `Tensor`s of shapes `[batch..., *level_shapes[i]]`, deepest first.
    """
    sizes = [tf.TensorShape(s).num_elements() for s in self._level_shapes]
    batch_shape = tf.shape(latent)[:-1]
    return [
      tf.reshape(level, tf.concat([batch_shape, shape], axis=0))
      for level, shape in zip(
        tf.split(latent, sizes, axis=-1), self._level_shapes, strict=True
      )
    ]

  def _bytes_of_activations(self, image_shape, num_levels):
    """Estimates how many bytes of an image a gradient keeps, if it stores them."""
    height, width, channels = image_shape
    hidden_size = tf.as_dtype(self._compute_dtype or self._weights_dtype).size
    total = 0
    for _ in range(num_levels):
      height, width, channels = height // 2, width // 2, channels * 4
      of_pixel = 2 * self._hidden_channels * hidden_size
      of_pixel += _STORED_IMAGES * channels * self._weights_dtype.size
      total += self._num_steps * height * width * of_pixel
      channels -= channels // 2
    return total

  def _level(self, image_shape, num_levels, seed):
    """Builds a level and, inside it, all deeper ones."""
    height, width, channels = image_shape
    height, width, channels = height // 2, width // 2, channels * 4
    steps_seed, deeper_seed = tfp.random.split_seed(seed)
    make_steps = self._scan if self._network_fn is None else self._chain
    steps = make_steps(channels, steps_seed)
    if num_levels == 1:
      self._level_shapes.append([height, width, channels])
      rest = tfp.bijectors.Reshape(
        event_shape_in=[height * width * channels],
        event_shape_out=[height, width, channels],
      )
      return tfp.bijectors.Chain([Squeeze(), steps, rest])
    deeper = self._level(
      [height, width, channels - channels // 2], num_levels - 1, deeper_seed
    )
    self._level_shapes.append([height, width, channels // 2])
    prior = self._coupling_class(
      ZeroConvolution(
        *self._network_channels(channels), dtype=self._weights_dtype
      )
    )
    rest = FactorOut(deeper, [height, width, channels], prior)
    return tfp.bijectors.Chain([Squeeze(), steps, rest])

  def _chain(self, channels, seed):
    """Builds the steps of one level as a chain, with networks by `network_fn`."""
    steps = []
    for step_seed in tfp.random.split_seed(seed, n=self._num_steps):
      conv_seed, network_seed = tfp.random.split_seed(step_seed)
      network = self._network_fn(
        *self._network_channels(channels), seed=_as_int(network_seed)
      )
      steps.append(
        tfp.bijectors.Chain(
          [
            ActivationNormalization(channels, dtype=self._weights_dtype),
            InvertibleConv1x1(channels, conv_seed, dtype=self._weights_dtype),
            self._coupling_class(network),
          ],
          name='step',
        )
      )
    return tfp.bijectors.Chain(steps, name='steps')

  def _scan(self, channels, seed):
    """Builds the steps of one level as a scan over stacked weights."""
    conv_seed, network_seed = tfp.random.split_seed(seed)
    stack = {'num_steps': self._num_steps, 'dtype': self._weights_dtype}
    network_shape = *self._network_channels(channels), self._hidden_channels
    weights = {
      'activation_normalization': make_variables(
        ActivationNormalization.initial_weights(channels, **stack),
        prefix='activation_normalization/',
      ),
      'invertible_conv_1x1': make_variables(
        InvertibleConv1x1.initial_weights(channels, conv_seed, **stack),
        InvertibleConv1x1.constant_weights,
        prefix='invertible_conv_1x1/',
      ),
      'coupling_network': make_variables(
        CouplingNetwork.initial_weights(*network_shape, network_seed, **stack),
        CouplingNetwork.constant_weights,
        prefix='coupling_network/',
      ),
    }

    compute_dtype = self._compute_dtype or self._weights_dtype

    def prepare(weights):
      return {
        'pixelwise_affine': PixelwiseAffine.prepare(
          weights['activation_normalization'], weights['invertible_conv_1x1']
        ),
        'coupling_network': CouplingNetwork.prepare(
          weights['coupling_network'], compute_dtype
        ),
      }

    def step(weights):
      network = CouplingNetwork(
        *network_shape,
        weights=weights['coupling_network'],
        compute_dtype=compute_dtype,
      )
      if 'pixelwise_affine' in weights:  # As `prepare` returns them.
        linear = [PixelwiseAffine(channels, weights['pixelwise_affine'])]
      else:
        linear = [
          ActivationNormalization(
            channels, weights=weights['activation_normalization']
          ),
          InvertibleConv1x1(channels, weights=weights['invertible_conv_1x1']),
        ]
      return tfp.bijectors.Chain([*linear, self._coupling_class(network)])

    few_steps = self._num_steps <= _MAX_UNROLLED_STEPS
    return Scan(
      step,
      weights,
      recompute=self._recompute,
      unroll=few_steps and not self._recompute,
      prepare_fn=prepare,
    )

  def _network_channels(self, channels):
    """Returns how many channels a coupling's network takes and returns."""
    transformed = channels // 2
    outputs = self._coupling_class.outputs_per_channel * transformed
    return channels - transformed, outputs

  def _forward_and_log_det(self, x):
    self._check_initialized()
    self._check_latent(x)
    return forward_and_log_det(self.flow, x, 1)

  def _inverse_and_log_det(self, y):
    self._check_initialized()
    self._check_image(y)
    return inverse_and_log_det(self.flow, y, 3)

  def _inverse_and_initial_values(self, images):
    self._check_image(images)
    latents, values = inverse_and_initial_values(self.flow, images)
    return latents, [*values, (self.initialized, True)]

  def _inverse_linear_part(self, images):
    return inverse_linear_part(self.flow, images)

  def _check_initialized(self):
    if not is_set(self.initialized):
      raise ValueError(
        f'{type(self).__name__}: the activation normalization is not '
        'initialized: call `tfp_ood.bijectors.initialize(flow, images)` with '
        'a few hundred training images, or restore a checkpoint, before the '
        'first use.'
      )


def _as_int(seed):
  """Turns a stateless PRNG seed into a Python `int`, which Keras takes."""
  return int(
    tf.random.stateless_uniform(
      [], seed, maxval=2**31 - 1, dtype=tf.int32, alg='philox'
    )
  )


def _coupling_class(coupling):
  if isinstance(coupling, type) and issubclass(coupling, Coupling):
    return coupling
  if coupling not in _COUPLINGS:
    raise ValueError(
      f'Glow: `coupling` must be one of {sorted(_COUPLINGS)} or a subclass of '
      f'tfp_ood.bijectors.Coupling, got {coupling!r}.'
    )
  return _COUPLINGS[coupling]


def _check_sizes(image_shape, num_levels, num_steps, hidden_channels):
  """Returns `image_shape` as a `tf.TensorShape` if all sizes are valid."""
  image_shape = check_image_shape(image_shape, 'Glow')
  for argument, value in (
    ('num_levels', num_levels),
    ('num_steps', num_steps),
    ('hidden_channels', hidden_channels),
  ):
    if int(value) != value or value < 1:
      raise ValueError(
        f'Glow: `{argument}` must be a positive whole number, got {value}.'
      )
  divisor = 2**num_levels
  if image_shape[0] % divisor or image_shape[1] % divisor:
    raise ValueError(
      f'Glow: height and width must be divisible by 2**num_levels = {divisor}, '
      f'got `image_shape` {image_shape}; pad or resize the images, or lower '
      '`num_levels`.'
    )
  return image_shape
