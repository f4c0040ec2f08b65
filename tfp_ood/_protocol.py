# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How everything downstream of a model sees it.

A model has `log_prob(x)`. The rest is optional: `statistics_names` and
`statistics(x, names)`, what it can say beyond that; `default_statistics`, which of
them tell its own kind from others; `check(x)`, what it takes;
`training_loss(x, seed)`, what training minimizes. A distribution of TFP's, or a
user's, goes in as it is.
"""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._checks import check_finite

__all__ = [
  'check',
  'default_statistics',
  'event_shape',
  'input_specs',
  'is_differentiable',
  'log_prob',
  'statistics_names',
  'training_loss',
]


def event_shape(model):
  """Returns the `TensorShape` of one example, of unknown rank if none is known."""
  # That of a joint distribution would be of all its parts.
  shape = getattr(model, 'image_shape', None)
  if shape is None:
    shape = getattr(model, 'event_shape', None)
  return tf.TensorShape(shape)


def input_specs(model):
  """Returns `TensorSpec`s of the batches that an exported model has to take.

  Images of raw pixels may come as `uint8`, the first, or as floats; other examples
  that are floats likewise, but as floats first; all others in the model's own dtype.
  """
  dtype = _dtype(model)
  shape = event_shape(model)
  is_image = shape.rank == 3
  # Signatures are of the first, and most vectors are no whole numbers.
  dtypes = (tf.uint8, tf.float32) if is_image else (tf.float32, tf.uint8)
  if dtype is not None and dtype.is_integer and dtype != tf.uint8:
    dtypes = (dtype,)
  name = 'images' if is_image else 'examples'
  return [tf.TensorSpec([None, *shape], dtype, name) for dtype in dtypes]


def statistics_names(model):
  """Returns the names of the model's own statistics, a tuple."""
  return tuple(getattr(model, 'statistics_names', ()))


def default_statistics(model):
  """Returns names of statistics that together tell the model's own kind, a tuple."""
  return tuple(getattr(model, 'default_statistics', ('log_prob',)))


def is_differentiable(model):
  """Whether the log-probability is differentiable by the example."""
  if hasattr(model, 'is_differentiable'):
    return model.is_differentiable
  # A model that does not say what it is over is taken at its word.
  dtype = _dtype(model, unsaid=tf.float32)
  return dtype is not None and dtype.is_floating


def check(model, x):
  """Returns a batch of examples as the model takes it, or raises.

  Without a method `check`, floating examples must be finite, and all are cast to
  the dtype of the model.

  Args:
    model: any model.
    x: `Tensor` of shape `[batch, ...event]`.

  Returns:
    `Tensor`, to be used in the place of `x`.
  """
  if hasattr(model, 'check'):
    return model.check(x)
  x = check_finite(x, 'The examples')
  dtype = _dtype(model)
  return x if dtype is None else tf.cast(x, dtype)


def log_prob(model, x):
  """Checks examples, and returns the log-probability of each, `[batch]`, in nats.

  A model whose `log_prob` is of more than the example, such as a joint
  distribution, has a statistic of that name.
  """
  x = check(model, x)
  if 'log_prob' in statistics_names(model):
    return model.statistics(x, ['log_prob'])['log_prob']
  return model.log_prob(x)


def training_loss(model, x, seed):
  """Returns what training minimizes the mean of, `[batch]`, in nats."""
  if hasattr(model, 'training_loss'):
    return model.training_loss(x, seed=seed)
  return -log_prob(model, x)


def _dtype(model, unsaid=None):
  """Returns the dtype of an example, `None` if it has several, or `unsaid`."""
  # A joint distribution would sample all its parts to tell, which takes seconds.
  if isinstance(model, tfp.distributions.JointDistribution):
    return None
  dtype = getattr(model, 'dtype', unsaid)
  return dtype if isinstance(dtype, tf.DType) else None
