# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A detector: a model, a score, and what is known of the score."""

import copy

import numpy as np
import tensorflow as tf

from tfp_ood import _protocol
from tfp_ood._arrays import read_arrays, write_arrays
from tfp_ood._batches import as_dataset, images_of
from tfp_ood._one_trace import OneTrace
from tfp_ood._saved_models import write_saved_model
from tfp_ood.stats._fractions import check_fraction
from tfp_ood.stats.decisions.conformal import (
  conformal_p_values,
  conformal_threshold,
)
from tfp_ood.stats.decisions.explanation import Explanation, explaining_map
from tfp_ood.stats.scores.default_score import default_score
from tfp_ood.stats.statistics import Statistics

__all__ = ['Detector', 'sorted_calibration_scores']

# A kernel density takes memory by the number of examples scored at once.
_SCORED_AT_ONCE = 1_000
_VARIABLE = 'variables/'
_LEARNED = 'learned/'


class Detector:
  """Tests examples for being out-of-distribution, at a false-alarm rate.

  It holds one or several models, a score, and the scores of in-distribution
  examples that no model was trained on. Against those it gives p-values, and
  flags with a false-alarm rate that holds whatever the score; see
  `conformal_p_values`. A model that trains on needs to be calibrated anew.

  Examples are images of raw pixels for the models of this library, and whatever
  else a model has a `log_prob` for. Any number can be scored at once, eagerly, in
  a `tf.function` or in `tf.data.Dataset.map`. What a model says it does not take,
  such as scaled images, is refused everywhere.

  #### Example

  >>> import numpy as np
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> normal = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 20.), [8, 8, 3])
  >>> held_out = np.round(normal.sample(199, seed=1))
  >>> detector = Detector(normal, tfp_ood.stats.Typicality()).fit(held_out)
  >>> images = np.concatenate([held_out[:1], np.full([1, 8, 8, 3], 128.)])
  >>> detector.predict(images, false_alarm_rate=0.05).numpy().tolist()
  [False, True]
  """

  def __init__(
    self,
    distribution,
    score=None,
    background=None,
    ensemble=(),
    statistics=None,
    classifier=None,
  ):
    """Instantiates a detector, to be calibrated by `fit` or `load`.

    Args:
      distribution: the model of the in-distribution examples: any object with
        `log_prob(x)`; see `Statistics`.
      score: `tfp_ood.stats.Score`, such as `Typicality()`. Default: the
        `default_score` of the model, and of the classifier if there is one.
      background: the model of the background; see `LikelihoodRatio`.
      ensemble: models of the in-distribution examples; see `Waic`.
      statistics: `dict` of a user's own statistics by name; see `Statistics`.
      classifier: a classifier of the in-distribution examples, such as
        `tfp_ood.networks.ImageClassifier(network)`; see `Statistics`.

    Raises:
      ValueError: if the score needs a statistic that there is not.
    """
    self._statistics = Statistics(
      distribution, background, ensemble, statistics, classifier
    )
    if score is None:
      score = default_score(distribution, classifier)
    self._statistics.check_names(score.statistics)
    # A copy: what this detector learns is no other's business.
    self._score = copy.deepcopy(score)
    self._learns = score.learns and not score.is_fitted
    self._calibration_scores = None
    names = self._score.statistics
    self._in_graph = OneTrace(lambda x: self._statistics.of_checked(x, names))
    self._explanation = None

  @property
  def calibration_scores(self):
    """Sorted array of the scores of held-out examples; `None` before `fit`."""
    return self._calibration_scores

  def fit(self, dataset, training=None):
    """Calibrates on held-out in-distribution examples.

    Args:
      dataset: `tf.data.Dataset` of batches of examples, or of tuples that start
        with them, or an array: in-distribution, and unseen by all models in
        training.
      training: another such, for a score that learns something itself
        (`Typicality` the entropy, `DensityOfStates` a density), usually examples
        that the model was trained on. Default: such a score, unless it came
        fitted, learns from every second example of `dataset`, and the others
        calibrate it.

    Returns:
      The detector itself.

    Raises:
      ValueError: if there are no examples, or a score is NaN; then the detector
        is as before.
    """
    values = self._statistics_of(dataset, 'dataset')
    if training is not None:
      training = self._statistics_of(training, 'training')
    return self.fit_statistics(values, training)

  def fit_statistics(self, statistics, training=None):
    """As `fit`, from statistics of the examples.

    Args:
      statistics: `dict` from the names that the score reads to arrays whose first
        axis is the held-out examples.
      training: likewise of training examples; see `fit`.

    Returns:
      The detector itself.

    Raises:
      ValueError: as `fit`.
    """
    learned = self._score.get_state()
    try:
      if training is not None:
        self._score.fit(training)
      elif self._learns:
        self._score.fit({name: v[::2] for name, v in statistics.items()})
        statistics = {name: v[1::2] for name, v in statistics.items()}
      self._calibrate(self.score_statistics(statistics))
    except BaseException:
      self._score.set_state(learned)
      raise
    return self

  def score(self, x):
    """Scores examples: larger = more out-of-distribution.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`.

    Returns:
      Floating-point `Tensor` of shape `[batch]`.
    """
    return self._score(self._statistics_in_graph(x))

  def score_statistics(self, statistics):
    """Scores examples from their statistics.

    Args:
      statistics: `dict` from the names that the score reads to arrays whose first
        axis is the examples.

    Returns:
      Array of shape `[num_examples]`.
    """
    count = len(next(iter(statistics.values())))
    pieces = [
      self._score(
        {
          name: values[start : start + _SCORED_AT_ONCE]
          for name, values in statistics.items()
        }
      )
      for start in range(0, count, _SCORED_AT_ONCE)
    ]
    return np.concatenate(pieces) if pieces else np.zeros([0])

  def p_value(self, x):
    """P-values of the hypothesis that examples are in-distribution.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`.

    Returns:
      float64 `Tensor` of shape `[batch]`, in (0, 1].

    Raises:
      ValueError: if the detector is not calibrated, or (eagerly) a score is NaN.
    """
    self._check_is_calibrated()
    return conformal_p_values(self._calibration_scores, self.score(x))

  def p_value_of_statistics(self, statistics):
    """As `p_value`, from statistics of the examples.

    Args:
      statistics: as for `score_statistics`.

    Returns:
      float64 array of shape `[num_examples]`.
    """
    self._check_is_calibrated()
    scores = self.score_statistics(statistics)
    return conformal_p_values(self._calibration_scores, scores).numpy()

  def predict(self, x, false_alarm_rate=0.05):
    """Flags examples as out-of-distribution.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`.
      false_alarm_rate: `float`, or float64 `Tensor`, scalar or `[batch]`: the
        probability at most with which an in-distribution example is flagged. With
        `n` calibration scores, rates below `1 / (n + 1)` flag nothing.

    Returns:
      Boolean `Tensor` of shape `[batch]`. In a graph, an example whose score is
      NaN is flagged.

    Raises:
      ValueError: if the detector is not calibrated, the rate is not between 0
        and 1, or (eagerly) a score is NaN.
    """
    # Python's 0.01, by way of float32, would be less than the p-value 1 / 100.
    rate = tf.convert_to_tensor(false_alarm_rate, dtype_hint=tf.float64)
    value = tf.get_static_value(rate)
    for one in np.ravel(value) if value is not None else ():
      check_fraction(float(one), 'false_alarm_rate', 0.05)
    rate = tf.cast(rate, tf.float64)
    tf.debugging.Assert(
      tf.reduce_all((rate > 0.0) & (rate < 1.0)),
      ['`false_alarm_rate` must lie strictly between 0 and 1, got', rate],
    )
    p_values = self.p_value(x)
    # (Not `~(p_values > rate)`: TensorFlow's optimizer would turn it around.)
    return tf.math.is_nan(p_values) | (p_values <= rate)

  def explain(self, x):
    """Maps examples by what makes them strange to the model.

    Where the model has a statistic `log_prob_map`, as a `PixelCnn` has, the map is of
    it, or of its ratio to that of the background if the score is of the ratio; for
    other models it is of the gradient of `log_prob`. `Explanation.kind` says which.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`.

    Returns:
      `Explanation`, whose `map` is `[batch, height, width]` for images and larger
      where they are stranger.

    Raises:
      ValueError: if the model has neither.
    """
    names = self._score.statistics
    if self._explanation is None:
      kind, function = explaining_map(self._statistics, names)
      self._explanation = kind, OneTrace(function)
    kind, in_graph = self._explanation
    return Explanation(in_graph(self._statistics.check(x, names)), kind)

  def threshold(self, false_alarm_rate=0.05):
    """The score above which `predict` flags an example.

    Args:
      false_alarm_rate: `float`.

    Returns:
      Scalar float64 `Tensor`.
    """
    self._check_is_calibrated()
    return conformal_threshold(self._calibration_scores, false_alarm_rate)

  def save(self, path):
    """Writes calibration, score and the models' variables to one file.

    Args:
      path: the file, by convention `.npz`; it is whole or not there.

    Raises:
      ValueError: if the detector is not calibrated, or a model has no `variables`.
    """
    self._check_is_calibrated()
    write_arrays(
      path,
      {
        'score': self._score.description,
        'calibration_scores': self._calibration_scores,
        **{
          _LEARNED + name: value
          for name, value in self._score.get_state().items()
        },
        **{
          f'{_VARIABLE}{index}': variable.numpy()
          for index, variable in enumerate(self._variables())
        },
      },
    )

  def load(self, path):
    """Restores what `save` wrote, into a detector built alike.

    Args:
      path: the file given to `save`.

    Returns:
      The detector itself.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is damaged, or of a detector with another score or
        models; then the detector is as before.
    """
    arrays = read_arrays(path)
    variables = self._variables()
    there = [
      (array.shape, array.dtype)
      for name, array in arrays.items()
      if name.startswith(_VARIABLE)
    ]
    here = [
      (tuple(variable.shape), variable.dtype.as_numpy_dtype)
      for variable in variables
    ]
    learned = {
      name.removeprefix(_LEARNED): value
      for name, value in arrays.items()
      if name.startswith(_LEARNED)
    }
    score = str(arrays.get('score', 'no detector'))
    is_alike = score == self._score.description and there == here
    if not is_alike or learned.keys() != self._score.get_state().keys():
      raise ValueError(
        f'Detector: {path} is of a detector with another score or other models '
        f'({score}, {len(there)} variables; here {self._score.description}, '
        f'{len(here)}). Build this one as that one was.'
      )
    self._score.set_state(learned)
    for index, variable in enumerate(variables):
      variable.assign(arrays[f'{_VARIABLE}{index}'])
    self._calibrate(arrays['calibration_scores'])
    return self

  def export_saved_model(self, path, warm_up=None):
    """Writes a SavedModel that needs nothing but TensorFlow.

    `tf.saved_model.load(path)` has the functions `score(x)`, `p_value(x)` and
    `predict(x, false_alarm_rate)`, for any number of examples (images `uint8` or
    `float32`), the variable `calibration_scores`, and signatures of the names of
    the functions for the first of these dtypes, whose input is named `images` for
    images, else `examples` (`false_alarm_rate` is float64, a scalar or one for each
    example). Outputs of the signatures are named `score`, `p_value` and
    `is_out_of_distribution`; the signature `serving_default` has the first two.

    Args:
      path: the folder to write; an earlier one is replaced.
      warm_up: examples, `[batch, ...event]`, of the first dtype, that TensorFlow
        Serving is to try each signature with before it serves the model: the first
        calls are slow. Default: none.

    Raises:
      ValueError: if the detector is not calibrated, its score needs Python, a model
        has no `event_shape` or no `variables`, or does not take the examples.
    """
    self._check_is_calibrated()
    if 'compressed_bits_per_dim' in self._score.statistics:
      raise ValueError(
        'Detector: a SavedModel cannot hold the compressors of Pillow. Use '
        "InputComplexity('png_bits_per_dim'), which is made of TensorFlow."
      )
    if self.event_shape.rank is None:
      raise ValueError(
        'Detector: to be exported, a model must have an `event_shape`; '
        f'{type(self._statistics.distribution).__name__} has none.'
      )
    if warm_up is not None:
      # TensorFlow Serving would not load a model that does not take them.
      self._statistics.check(warm_up, self._score.statistics)
    module = _Export(self)
    write_saved_model(
      module, path, module.signatures(), module.warm_up_requests(warm_up)
    )

  @property
  def event_shape(self):
    """`TensorShape` of one example."""
    return self._statistics.event_shape

  def _variables(self):
    for model in self._statistics.models:
      if not hasattr(model, 'variables'):
        raise ValueError(
          f'Detector: to be saved or exported, a model must list its weights as '
          f'`variables`; {type(model).__name__} does not.'
        )
    return self._statistics.variables

  def _calibrate(self, scores):
    self._calibration_scores = sorted_calibration_scores(scores)

  def _check_is_calibrated(self):
    if self._calibration_scores is None:
      raise ValueError(
        'Detector: call `fit` with held-out in-distribution examples, or '
        '`load`, first.'
      )

  # As in `Statistics`. The score may be a user's, made for AutoGraph.
  @tf.autograph.experimental.do_not_convert
  def _statistics_in_graph(self, x):
    """Computes what the score reads."""
    # Checked before: an eager call raises an error that is easy to read.
    return self._in_graph(self._statistics.check(x, self._score.statistics))

  def _statistics_of(self, dataset, argument):
    """Returns the statistics of all examples, as arrays by name."""
    parts = {name: [] for name in self._score.statistics}
    for batch in as_dataset(dataset):
      for name, value in self._statistics_in_graph(images_of(batch)).items():
        parts[name].append(value.numpy())
    values = {
      name: np.concatenate(part) if part else np.zeros([0])
      for name, part in parts.items()
    }
    if any(not value.size for value in values.values()):
      raise ValueError(f'Detector: `{argument}` holds no examples.')
    return values


def sorted_calibration_scores(scores):
  """Returns scores as a detector keeps them, and refuses what cannot calibrate.

  Args:
    scores: array of the scores of held-out examples, `[num_examples]`.

  Returns:
    Sorted float64 array.

  Raises:
    ValueError: if there are none, or one is NaN.

  #### Example

  >>> sorted_calibration_scores(np.array([3, 1, 2], np.float32)).tolist()
  [1.0, 2.0, 3.0]
  """
  if not scores.size:
    raise ValueError(
      'Detector: no example is left to calibrate on; a score that learns '
      'needs at least two.'
    )
  if np.any(np.isnan(scores)):
    raise ValueError(
      f'Detector: {np.count_nonzero(np.isnan(scores))} of {scores.size} '
      'scores of the held-out examples are NaN.'
    )
  return np.sort(scores.astype(np.float64))


class _Export(tf.Module):
  """The functions of a detector that a SavedModel keeps."""

  def __init__(self, detector):
    super().__init__()
    # The variables alone: a SavedModel has no use for TFP's objects.
    self.exported_variables = detector._variables()
    # A variable, and of any length: an export can be calibrated anew.
    self.calibration_scores = tf.Variable(
      detector.calibration_scores, trainable=False, shape=[None]
    )
    detector = copy.copy(detector)
    detector._calibration_scores = self.calibration_scores
    self.score = tf.function(detector.score)
    self.p_value = tf.function(detector.p_value)
    self.predict = tf.function(detector.predict)
    self._specs = _protocol.input_specs(detector._statistics.distribution)
    # Of any rank: a row of a REST request has a rate of its own.
    self._rate = tf.TensorSpec(None, tf.float64, name='false_alarm_rate')
    for examples in self._specs:
      self.score.get_concrete_function(examples)
      self.p_value.get_concrete_function(examples)
      self.predict.get_concrete_function(examples, self._rate)

  def signatures(self):
    """Returns the concrete functions of the signatures by name."""
    examples = self._specs[0]

    def both(x):
      score = self.score(x)
      p_value = conformal_p_values(self.calibration_scores, score)
      return {'score': score, 'p_value': p_value}

    def signature(function, *specs):
      graph = tf.function(function, autograph=False)
      return graph.get_concrete_function(examples, *specs)

    return {
      'score': signature(lambda x: {'score': self.score(x)}),
      'p_value': signature(lambda x: {'p_value': self.p_value(x)}),
      'predict': signature(
        lambda x, rate: {'is_out_of_distribution': self.predict(x, rate)},
        self._rate,
      ),
      'serving_default': signature(both),
    }

  def warm_up_requests(self, examples):
    """Returns pairs of a signature and its inputs, none without examples."""
    if examples is None:
      return []
    spec = self._specs[0]
    examples = tf.convert_to_tensor(examples)
    if examples.dtype != spec.dtype:
      raise ValueError(
        f'`warm_up` must be {spec.dtype.name}, as requests are; got '
        f'{examples.dtype.name}.'
      )
    inputs = {spec.name: examples}
    rate = {self._rate.name: tf.constant(0.05, tf.float64)}
    return [
      (name, {**inputs, **rate} if name == 'predict' else inputs)
      for name in ('score', 'p_value', 'predict', 'serving_default')
    ]
