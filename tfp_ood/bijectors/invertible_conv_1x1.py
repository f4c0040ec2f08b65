# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A learned mixing of the channels."""

import numpy as np
import scipy.linalg
import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood._variables import make_variables
from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['InvertibleConv1x1']


class InvertibleConv1x1(Bijector):
  """Compute `Y = X inv(M)` at every pixel: an invertible 1x1 convolution.

  `M` is the `[num_channels, num_channels]` matrix of the density direction,
  image to latent: `inverse(y) = y M` is one matrix product. It is parameterized
  in one of two ways:

  * `'lu'`: `M = P L (U + diag(sign * exp(log_diagonal)))` with a fixed
    permutation `P`, `L` unit lower and `U` strictly upper triangular, so that
    `log|det M| = sum(log_diagonal)` costs nothing; only sampling solves
    triangular systems.
  * `'dense'`: `M` itself, which must be factorized for each log-determinant.

  Initially, `M` is a rotation drawn from the Haar measure.

  #### Examples

  >>> import numpy as np
  >>> import tfp_ood
  >>> bijector = tfp_ood.bijectors.InvertibleConv1x1(3, seed=1)
  >>> images = np.ones([1, 2, 2, 3], np.float32)
  >>> latents, log_det = bijector.inverse_and_log_det(images)
  >>> bool(abs(log_det) < 1e-5)  # It starts at a rotation.
  True
  >>> np.allclose(bijector.forward(latents), images, atol=1e-5)
  True

  #### References

  [1]: Diederik P Kingma, Prafulla Dhariwal. Glow: Generative Flow with
       Invertible 1x1 Convolutions. In _Neural Information Processing Systems_,
       2018. https://arxiv.org/abs/1807.03039
  [2]: Francesco Mezzadri. How to generate random matrices from the classical
       compact groups. _Notices of the AMS_, 54(5), 2007.
       https://arxiv.org/abs/math-ph/0609050
  """

  # Which of the weights are not trained.
  constant_weights = ('permutation', 'sign')

  def __init__(
    self,
    num_channels,
    seed=None,
    parameterization='lu',
    weights=None,
    dtype=tf.float32,
    validate_args=False,
    name='invertible_conv_1x1',
  ):
    """Instantiates the `InvertibleConv1x1` bijector.

    Args:
      num_channels: Python `int`, the number of channels of the images.
      seed: Python `int` or stateless PRNG seed of the initial rotation.
      parameterization: `'lu'` or `'dense'`.
      weights: `dict` as `initial_weights` or `prepare` returns it, of tensors or
        variables, used as they are (for `Scan`). Default: new variables.
      dtype: the dtype of the weights made here.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      if weights is None:
        weights = make_variables(
          self.initial_weights(
            num_channels, seed, parameterization, dtype=dtype
          ),
          self.constant_weights,
        )
      self._num_channels = num_channels
      self._parameterization = parameterization
      self._weights = weights
      super().__init__(
        forward_min_event_ndims=3,
        is_constant_jacobian=True,
        dtype=weights['matrix' if self._is_dense else 'lower'].dtype,
        validate_args=validate_args,
        parameters=parameters,
        name=name,
      )

  @staticmethod
  def initial_weights(
    num_channels,
    seed=None,
    parameterization='lu',
    num_steps=None,
    dtype=tf.float32,
  ):
    """Returns the weights of a random rotation, or of a stack of them.

    Args:
      num_channels: Python `int`.
      seed: Python `int` or stateless PRNG seed.
      parameterization: `'lu'` or `'dense'`.
      num_steps: Python `int`; if given, the weights of that many bijectors are
        stacked along a new first axis, as `Scan` takes them.
      dtype: floating dtype.

    Returns:
      `dict`: for `'dense'`, `matrix`; for `'lu'`, `lower`, `upper` (of which
      only the strict triangles are used), `log_diagonal`, and the constants
      `sign` and `permutation` (`int32`).
    """
    dtype = tf.as_dtype(dtype)
    count = 1 if num_steps is None else num_steps
    normal = tf.random.stateless_normal(
      [count, num_channels, num_channels],
      stateless_seed(seed),
      dtype=tf.float64,
      alg='philox',
    )
    rotations = _haar_rotations(normal.numpy())
    if parameterization == 'dense':
      stacked = {'matrix': rotations.astype(dtype.as_numpy_dtype)}
    elif parameterization == 'lu':
      factors = [_lu_weights(rotation) for rotation in rotations]
      stacked = {
        key: np.stack([factor[key] for factor in factors]).astype(
          np.int32 if key == 'permutation' else dtype.as_numpy_dtype
        )
        for key in factors[0]
      }
    else:
      raise ValueError(
        "InvertibleConv1x1: `parameterization` must be 'lu' or 'dense', got "
        f'{parameterization!r}.'
      )
    if num_steps is None:
      return {key: value[0] for key, value in stacked.items()}
    return stacked

  @staticmethod
  def prepare(weights):
    """Computes what depends on no image, for one set of weights or a stack.

    Args:
      weights: `dict` as `initial_weights` returns it.

    Returns:
      `dict` of `matrix` and `log_abs_determinant`, and for `'lu'` of what `forward`
      needs: `permutation` and the whole triangles `lower` and `upper`.
    """
    if _is_prepared(weights):
      return weights
    prepared = {'log_abs_determinant': _log_abs_determinant(weights)}
    if 'matrix' in weights:
      return prepared | {'matrix': tf.convert_to_tensor(weights['matrix'])}
    lower, upper = _triangles(weights)
    permutation = tf.convert_to_tensor(weights['permutation'])
    return prepared | {
      'matrix': _permuted_product(lower, upper, permutation),
      'lower': lower,
      'upper': upper,
      'permutation': permutation,
    }

  @property
  def num_channels(self):
    """Python `int`, the number of channels."""
    return self._num_channels

  @property
  def weights(self):
    """`dict` of the weights, as `initial_weights` or `prepare` describes them."""
    return self._weights

  def inverse_matrix(self):
    """Returns `M`, the matrix that `inverse` multiplies each pixel by."""
    if 'matrix' in self._weights:
      return tf.convert_to_tensor(self._weights['matrix'])
    return _permuted_product(
      *_triangles(self._weights), self._weights['permutation']
    )

  def forward_matrix(self):
    """Returns `inv(M)`, the matrix that `forward` multiplies each pixel by."""
    if self._is_dense:
      return tf.linalg.inv(self.inverse_matrix())
    lower, upper = _triangles(self._weights)
    # Row i of M is row permutation[i] of L U, hence M = P L U with
    # P[i, permutation[i]] = 1, and inv(M) = inv(U) inv(L) transpose(P).
    transposed_permutation = tf.one_hot(
      self._weights['permutation'],
      self.num_channels,
      axis=0,
      dtype=self.dtype,
    )
    return tf.linalg.triangular_solve(
      upper,
      tf.linalg.triangular_solve(lower, transposed_permutation, lower=True),
      lower=False,
    )

  def _forward_and_log_det(self, x):
    _shapes.check_image(x, self, self.num_channels)
    y = _shapes.multiply_channels(x, self.forward_matrix())
    return y, -self._log_det(x)

  def _inverse_and_log_det(self, y):
    _shapes.check_image(y, self, self.num_channels)
    x = _shapes.multiply_channels(y, self.inverse_matrix())
    return x, self._log_det(y)

  def _inverse_linear_part(self, images):
    weights = {
      key: value
      if tf.as_dtype(value.dtype).is_integer
      else tf.constant(np.asarray(value, np.float64))
      for key, value in self._weights.items()
    }
    precise = InvertibleConv1x1(
      self.num_channels,
      parameterization=self._parameterization,
      weights=weights,
    )
    return images @ precise.inverse_matrix().numpy()

  @property
  def _is_dense(self):
    return self._parameterization == 'dense'

  def _log_det(self, images):
    """Returns `log|det|` of the density direction, over all pixels."""
    return _shapes.num_pixels(images) * _log_abs_determinant(self._weights)


def _is_prepared(weights):
  return 'log_abs_determinant' in weights


def _log_abs_determinant(weights):
  """Returns `log|det M|`."""
  if _is_prepared(weights):
    return weights['log_abs_determinant']
  if 'matrix' in weights:
    # XLA has no kernel for tf.linalg.slogdet.
    _, r = tf.linalg.qr(tf.convert_to_tensor(weights['matrix']))
    log_diagonal = tf.math.log(tf.abs(tf.linalg.diag_part(r)))
  else:
    log_diagonal = weights['log_diagonal']
  return tf.reduce_sum(log_diagonal, axis=-1)


def _triangles(weights):
  """Returns the factors `L` and `U` of the LU parameterization."""
  if _is_prepared(weights):
    return weights['lower'], weights['upper']
  lower = tf.linalg.band_part(weights['lower'], -1, 0)
  upper = tf.linalg.band_part(weights['upper'], 0, -1)
  diagonal = weights['sign'] * tf.exp(weights['log_diagonal'])
  return (
    tf.linalg.set_diag(lower, tf.ones_like(diagonal)),
    tf.linalg.set_diag(upper, diagonal),
  )


def _permuted_product(lower, upper, permutation):
  """Returns `P L U`."""
  permutation = tf.convert_to_tensor(permutation)
  return tf.gather(
    lower @ upper,
    permutation,
    axis=-2,
    batch_dims=permutation.shape.rank - 1,
  )


def _haar_rotations(normal):
  """Returns uniformly distributed rotations from standard normal matrices."""
  q, r = np.linalg.qr(normal)
  # QR is unique only up to signs; without this the result is not Haar.
  q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
  # A rotation has determinant +1: where it is -1, mirror one axis.
  q[..., :, 0] *= np.sign(np.linalg.det(q))[..., None]
  return q


def _lu_weights(matrix):
  """Factorizes one matrix into the weights of the LU parameterization."""
  permutation, lower, upper = scipy.linalg.lu(matrix)
  diagonal = np.diag(upper)
  return {
    'lower': np.tril(lower, -1),
    'upper': np.triu(upper, 1),
    'log_diagonal': np.log(np.abs(diagonal)),
    'sign': np.sign(diagonal),
    'permutation': np.argmax(permutation, axis=1),
  }
