# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Statistics of examples under models, from which scores are made."""

import tensorflow as tf

from tfp_ood import _pixels, _protocol
from tfp_ood._one_trace import OneTrace
from tfp_ood.stats._model_statistics import ModelStatistics
from tfp_ood.stats.compression import (
  compressed_bits_per_dim,
  png_bits_per_dim,
)

__all__ = ['Statistics']

_OF_IMAGES = {
  'png_bits_per_dim': png_bits_per_dim,
  'compressed_bits_per_dim': compressed_bits_per_dim,
}


class Statistics:
  """Named statistics of examples under models, each computed once.

  Scores are made of a few statistics and share most of them. Asked for several,
  this runs every model once, in a graph that is traced once for batches of any
  size:

  | name | from | what it is |
  |---|---|---|
  | `log_prob` | the model | log-probability, nats |
  | `bits_per_dim` | the model | the same in bits per dimension |
  | `score_norm` | the model | norm of its gradient by the example |
  | others | the model | those of its own `statistics_names` |
  | `background_log_prob` | `background` | log-probability, nats |
  | `background_log_prob_map` | `background`, if it has `log_prob_map` | that of each element, nats |
  | `ensemble_log_probs` | `ensemble` | log-probabilities, `[batch, members]` |
  | `classifier_logits` | `classifier` | its logits, `[batch, classes]` |
  | `classifier_features` | `classifier` | its features, `[batch, columns]` |
  | `classifier_perturbed_logits` | `classifier` | of an example made surer |
  | `png_bits_per_dim` | the image | size as PNG, in the graph |
  | `compressed_bits_per_dim` | the image | best of several, by Pillow |
  | others | `statistics` | a user's own |

  A model is any object with `log_prob(x)`, such as a TFP distribution over images
  or sequences. One that can say more of an example has a property
  `statistics_names` and a method `statistics(x, names)`, as the models of
  `tfp_ood.distributions` have: their docstrings list the names. A model with a
  method `check(x)` decides what it takes; without one, examples must be finite and
  are cast to its `dtype`.

  `score_norm` exists for models that are differentiable by the example: by a
  property `is_differentiable`, or else a floating `dtype`.

  #### Example

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> normal = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 50.), [8, 8, 3])
  >>> statistics = Statistics(
  ...     normal, statistics={'mean': lambda x: tf.reduce_mean(x, [1, 2, 3])})
  >>> images = tf.zeros([5, 8, 8, 3])
  >>> values = statistics(images, ['log_prob', 'png_bits_per_dim', 'mean'])
  >>> [value.shape for value in values.values()]
  [TensorShape([5]), TensorShape([5]), TensorShape([5])]
  """

  def __init__(
    self,
    distribution,
    background=None,
    ensemble=(),
    statistics=None,
    classifier=None,
  ):
    """Instantiates the statistics.

    Args:
      distribution: the model of the in-distribution examples.
      background: the model of the background; see `likelihood_ratio`.
      ensemble: models of the in-distribution examples, for `waic`.
      statistics: `dict` from names to a user's own statistics: functions of a
        batch of examples to `Tensor`s whose first axis is the batch, or pairs of
        a model and the name of one of its statistics. A function with weights
        should be a Keras model or a `tf.Module`: its `variables` are then part of
        what a `Detector` saves and exports.
      classifier: a classifier of the in-distribution examples, or another model
        that has statistics and need not have a `log_prob`:
        `ImageClassifier(network)` and `SequenceClassifier(network, num_values)` of
        `tfp_ood.networks` make one of a Keras network. Each of its statistics is
        called `classifier_` and its name there.

    Raises:
      TypeError: if a model has no `log_prob`, or the classifier no statistics.
      ValueError: if a user's statistic has a name that is taken, or is neither a
        function nor a pair of a model and the name of one of its statistics.
    """
    self.distribution = distribution
    self.background = background
    self.ensemble = tuple(ensemble)
    for model in (distribution, background, *self.ensemble):
      if model is not None and not callable(getattr(model, 'log_prob', None)):
        raise TypeError(
          'Statistics: a model must have a method `log_prob`, got '
          f'{type(model).__name__}.'
        )
    self._model = ModelStatistics(distribution)
    self._graphs = {}
    self._functions = {}
    # From names to pairs of a model and the name of its statistic.
    self._of_models = {name: (distribution, name) for name in self._model.names}
    if background is not None:
      its_names = ModelStatistics(background).names
      self._of_models |= {
        f'background_{name}': (background, name)
        for name in ('log_prob', 'log_prob_map')
        if name in its_names
      }
    if classifier is not None:
      self._of_models |= {
        f'classifier_{name}': (classifier, name)
        for name in _names_of_classifier(classifier)
      }
    if _may_be_image(self.event_shape):
      self._functions |= _OF_IMAGES
    for name, source in (statistics or {}).items():
      if name in self.names:
        raise ValueError(
          f'Statistics: there is a statistic {name!r} already; give yours '
          'another name.'
        )
      if callable(source):
        self._functions[name] = source
      else:
        self._of_models[name] = _model_and_name(name, source)

  @property
  def models(self):
    """All models, each once, in a fixed order."""
    models = [
      self.distribution,
      self.background,
      *self.ensemble,
      *(model for model, _ in self._of_models.values()),
    ]
    return list({id(m): m for m in models if m is not None}.values())

  @property
  def variables(self):
    """Variables of all models and functions that list theirs, each once."""
    parts = [*self.models, *self._functions.values()]
    variables = [v for part in parts for v in getattr(part, 'variables', ())]
    return list({id(variable): variable for variable in variables}.values())

  @property
  def names(self):
    """Names of the statistics that can be computed, a tuple."""
    ensemble = ['ensemble_log_probs'] if len(self.ensemble) >= 2 else []
    return (*self._of_models, *ensemble, *self._functions)

  @property
  def event_shape(self):
    """`TensorShape` of one example; of unknown rank if the model has none."""
    return self._model.event_shape

  def models_of(self, name):
    """The models that a statistic comes from.

    Args:
      name: `str`.

    Returns:
      List of models, empty where the example alone decides; `None` for a user's
      function, of which nobody knows.
    """
    if name in self._functions and not self._is_of_images(name):
      return None
    return [model for model, _ in self._sources(name)]

  def check_names(self, names):
    """Raises unless all statistics named can be computed.

    Args:
      names: iterable of `str`.

    Raises:
      ValueError: if one is unknown, or its model was not given.
    """
    for name in names:
      if name not in self.names:
        hint = _HINTS.get(name, '')
        raise ValueError(
          f'Statistics: there is no statistic {name!r}{hint}. There are '
          f'{", ".join(self.names)}.'
        )

  def check(self, x, names=()):
    """Returns examples as a batch that the model takes, or raises.

    Args:
      x: array-like, `[batch, ...event]`.
      names: iterable of names of statistics. Called eagerly, this also raises if
        what those are computed from, another model or the image itself, does not
        take `x`. (A graph raises when it gets there.)

    Returns:
      `Tensor` of shape `[batch, *event_shape]`, to be used in the place of `x`: a
      graph checks shape and values, as far as it does not know them, before it
      goes on.

    Raises:
      ValueError: if `x` has another shape, or values that the model does not take.
        A graph raises `tf.errors.InvalidArgumentError` for values, and for as much
        of the shape as it does not know.
    """
    x = tf.convert_to_tensor(x, name='x')
    shape = tf.TensorShape([None]).concatenate(self.event_shape)
    is_known = shape.rank is not None
    # Of an example whose shape nobody knows, at least there is one.
    is_batch = x.shape.rank is not None and x.shape.rank >= (
      1 if is_known else 2
    )
    if not is_batch or not x.shape.is_compatible_with(shape):
      raise ValueError(
        'Statistics: the examples must be a batch, '
        f'{shape if is_known else "[batch, ...event]"}; got shape {x.shape}.'
      )
    if is_known:
      x = tf.ensure_shape(x, shape)
    x = _protocol.check(self.distribution, x)
    if tf.executing_eagerly():
      for name in names:
        for model in self.models_of(name) or ():
          _protocol.check(model, x)
        if self._is_of_images(name):
          _pixels.check_pixels(x, 'Statistics')
    return x

  # To convert models and checks, which need none of it, takes AutoGraph seconds.
  @tf.autograph.experimental.do_not_convert
  def __call__(self, x, names):
    """Computes statistics.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`, such as images of raw pixels;
        the batch of any size.
      names: iterable of names of statistics.

    Returns:
      `dict` from each name to a `Tensor`, of shape `[batch]` where the name says
      nothing else.

    Raises:
      ValueError: if a statistic is unknown or its model was not given, or `x` is
        not a batch of examples. A graph raises `tf.errors.InvalidArgumentError`
        where the values are at fault.
    """
    names = tuple(dict.fromkeys(names))
    self.check_names(names)
    x = self.check(x, names)
    if not tf.executing_eagerly():
      return self.of_checked(x, names)
    # The models alone: a user's function may be made of NumPy.
    asked = tuple(name for name in names if name not in self._functions)
    if asked not in self._graphs:
      self._graphs[asked] = OneTrace(lambda x: self._of_all_models(x, asked))
    return self._with_functions(self._graphs[asked](x), x, names)

  def of_checked(self, x, names):
    """Computes statistics of examples that were checked, in no graph of its own.

    Args:
      x: `Tensor` as `check` returned it.
      names: iterable of names of statistics that there are.

    Returns:
      `dict` as that of a call.
    """
    asked = [name for name in names if name not in self._functions]
    return self._with_functions(self._of_all_models(x, asked), x, names)

  def _of_all_models(self, x, names):
    """Returns the statistics, by name, that models compute."""
    wanted = [source for name in names for source in self._sources(name)]
    found = {}
    for model in self.models:
      # Together, what one model says under one or several names.
      its_names = dict.fromkeys(its for other, its in wanted if other is model)
      if its_names:
        is_checked = model is self.distribution
        its_x = x if is_checked else _protocol.check(model, x)
        found[id(model)] = ModelStatistics(model)(its_x, its_names)

    def value(name):
      values = [found[id(model)][its] for model, its in self._sources(name)]
      return values[0] if name in self._of_models else tf.stack(values, axis=-1)

    return {name: value(name) for name in names}

  def _with_functions(self, values, x, names):
    """Returns the statistics named: `values`, and those that functions compute."""
    return {
      name: _of_function(name, self._functions[name], x)
      if name in self._functions
      else values[name]
      for name in names
    }

  def _sources(self, name):
    """The pairs of a model and the name of its statistic behind a statistic."""
    if name in self._of_models:
      return [self._of_models[name]]
    if name in self._functions:
      return []
    return [(member, 'log_prob') for member in self.ensemble]

  def _is_of_images(self, name):
    """Whether a statistic is one that the image alone decides."""
    function = self._functions.get(name)
    return function is not None and function is _OF_IMAGES.get(name)


_HINTS = {
  'bits_per_dim': ', which needs a model that has an `event_shape`',
  **dict.fromkeys(_OF_IMAGES, ', which is of images with 1 to 4 channels'),
  'background_log_prob': ', which needs the argument `background`',
  **dict.fromkeys(
    (
      'classifier_logits',
      'classifier_features',
      'classifier_perturbed_logits',
    ),
    ', which needs the argument `classifier`',
  ),
  'ensemble_log_probs': (
    ', which needs at least two models in the argument `ensemble`'
  ),
  'score_norm': (
    ': the log-probability of this model is not differentiable by the example'
  ),
}


def _names_of_classifier(classifier):
  names = _protocol.statistics_names(classifier)
  if not names:
    raise TypeError(
      'Statistics: a classifier must have `statistics_names` and `statistics(x, '
      f'names)`; {type(classifier).__name__} has none. `ImageClassifier` and '
      '`SequenceClassifier` of tfp_ood.networks make one of a Keras network.'
    )
  return names


def _may_be_image(shape):
  return shape.rank is None or (shape.rank == 3 and 1 <= shape[-1] <= 4)


def _model_and_name(name, source):
  """Checks a user's statistic that is to be one of a model's."""
  if not (isinstance(source, tuple) and len(source) == 2):
    raise ValueError(
      f'Statistics: {name!r} must be a function of examples, or a pair of a model '
      f'and the name of one of its statistics; got {source!r}.'
    )
  model, its_name = source
  names = ModelStatistics(model).names
  if its_name not in names:
    raise ValueError(
      f'Statistics: {name!r} cannot be the statistic {its_name!r} of '
      f'{type(model).__name__}, which has {", ".join(names)}.'
    )
  return source


def _of_function(name, function, x):
  """Calls a user's function; its result must have the examples' axis."""
  value = tf.convert_to_tensor(function(x), name=name)
  if value.shape.rank == 0 or not value.shape[:1].is_compatible_with(
    x.shape[:1]
  ):
    raise ValueError(
      f'Statistics: the function of {name!r} must return a tensor whose first axis '
      f'is the batch, as in {x.shape}; got shape {value.shape}.'
    )
  return value
