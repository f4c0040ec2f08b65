# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What scores make of data sets under a model."""

import dataclasses
import functools
import math
import os
import typing

import numpy as np
from scipy import stats as scipy_stats

from tfp_ood import reporting, stats
from tfp_ood.evaluation import _sections

__all__ = ['Evaluation']

_METRICS = (
  stats.average_precision_out,
  stats.average_precision_in,
  stats.false_positive_rate_at_95_tpr_out,
  stats.false_positive_rate_at_95_tpr_in,
  stats.detection_error,
)
_BATCH_SIZES = (1, 2, 5, 10, 25)
_SIGNIFICANCE = 0.05
_QUANTILES = np.linspace(0.0, 1.0, 101)
_FILE = 'evaluation.npz'


def _made_once(table):
  """Makes a table without arguments a method that remembers it."""

  @functools.wraps(table)
  def remembered(self):
    if table.__name__ not in self._tables:
      self._tables[table.__name__] = table(self)
    return self._tables[table.__name__]

  return remembered


@dataclasses.dataclass
class Evaluation:
  """Statistics and scores of data sets by name, and the tables made of them.

  `evaluate` makes one; `load` reads what `save` wrote. Tables are functions of what
  is here: AUROCs and other metrics are of the in-distribution data set against
  another, with intervals over the examples; the model is taken as fixed. Tables are
  made when they are first asked for: the arrays are not to be changed.

  Attributes:
    in_distribution: `str`, the name of the in-distribution data set.
    training: `str`, that of the training data, or `None`.
    out_of_distribution: list of `str`, those of all others.
    statistics: `dict` of `dict`s of arrays, by data set and by statistic.
    scores: `dict` of `dict`s of arrays `[num_examples]`, by score and by data set;
      the first score is what the others are compared with.
    p_values: likewise, of the examples that calibrated nothing: in-distribution
      ones every second.
    kept: list of `str`, the statistics that are of interest by themselves.
    event_size: `int`, the number of values of an example, or `None`.
    sections: list of `tfp_ood.reporting.Section`s, analyses that `add` took up.
    information: `dict` of what a reader may want to know, such as the command.
    recommended: `str`, the score that a reader should take, which the report begins
      with; `None` if none is.
    make_detector: function from the name of a score to a `Detector`; `None` of an
      evaluation that was loaded.

  #### Example

  >>> import tempfile
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(0., 1.), [3])
  >>> data = model.sample(100, seed=1)
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, {'nll': tfp_ood.stats.NegativeLogLikelihood()},
  ...     {'near': data}, {'far': data + 20.}, verbose=False)
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   evaluation.save(folder)
  ...   loaded = Evaluation.load(folder)
  >>> loaded.aurocs()['nll']['far'].auroc
  1.0
  >>> [(record['dataset'], record['flagged']) for record in loaded.records()]
  [('far', 1.0)]
  """

  in_distribution: str
  training: str | None
  out_of_distribution: list
  statistics: dict
  scores: dict
  p_values: dict
  kept: list
  event_size: int | None = None
  sections: list = dataclasses.field(default_factory=list)
  information: dict = dataclasses.field(default_factory=dict)
  recommended: str | None = None
  make_detector: typing.Callable | None = dataclasses.field(
    default=None, repr=False
  )
  _tables: dict = dataclasses.field(
    default_factory=dict, init=False, repr=False, compare=False
  )

  @property
  def baseline(self):
    """`str`, the score that the others are compared with."""
    return next(iter(self.scores))

  @property
  def others(self):
    """Names of all data sets but the in-distribution one."""
    return [
      *([self.training] if self.training else []),
      *self.out_of_distribution,
    ]

  @property
  def datasets(self):
    """Names of all data sets, the in-distribution one first."""
    return [self.in_distribution, *self.others]

  def add(self, section):
    """Adds an analysis, as a section of the report; returns the evaluation."""
    self.sections.append(section)
    return self

  def detector(self, score):
    """Returns a detector by one of the scores, calibrated on all examples.

    Args:
      score: `str`.

    Returns:
      `tfp_ood.stats.Detector`.

    Raises:
      ValueError: if the evaluation was loaded and has no model.
    """
    if self.make_detector is None:
      raise ValueError(
        'Evaluation: a loaded evaluation has no model; `evaluate` makes one that '
        'has, or build a tfp_ood.stats.Detector.'
      )
    return self.make_detector(score)

  # ---------------------------------------------------------------------- tables

  @_made_once
  def aurocs(self):
    """AUROCs of all scores.

    Returns:
      `dict` of `dict`s of `AurocConfidenceInterval`, by score and by data set.
    """
    return {
      score: {
        name: stats.auroc_confidence_interval(
          values[self.in_distribution], values[name]
        )
        for name in self.others
      }
      for score, values in self.scores.items()
    }

  @_made_once
  def metrics(self):
    """All other metrics: `dict` by score, data set out of distribution, metric."""
    return {
      score: {
        name: {
          metric.__name__: metric(values[self.in_distribution], values[name])
          for metric in _METRICS
        }
        for name in self.out_of_distribution
      }
      for score, values in self.scores.items()
    }

  def comparisons(self, baseline=None):
    """Tests each score's AUROC against that of another on the same examples.

    Args:
      baseline: `str`, the other score. Default: that of the evaluation.

    Returns:
      `dict` of `dict`s of `DelongTest`, by score and by data set.
    """
    first = self.scores[baseline or self.baseline]

    def test(values, name):
      pairs = [
        pair[:count]
        for dataset in (self.in_distribution, name)
        for count in [min(len(values[dataset]), len(first[dataset]))]
        for pair in (values[dataset], first[dataset])
      ]
      ours_in, theirs_in, ours_out, theirs_out = pairs
      return stats.delong_test(ours_in, ours_out, theirs_in, theirs_out)

    return {
      score: {name: test(values, name) for name in self.out_of_distribution}
      for score, values in self.scores.items()
      if values is not first
    }

  @_made_once
  def calibration(self):
    """Whether p-values are what they say.

    Returns:
      `dict` by score of `dict`s: `kolmogorov_smirnov`, the distance of the
      in-distribution p-values from uniform; `p_value`, that of the test that the
      scores which calibrate and those tested are alike; `quantiles`, of the
      p-values; `flagged`, the share of each data set at a false-alarm rate of 5 %.
    """
    results = {}
    for score, by_dataset in self.p_values.items():
      inside = by_dataset[self.in_distribution]
      scores = self.scores[score][self.in_distribution]
      # Of two samples: all p-values share one finite calibration set, so that even
      # perfect ones are further from uniform than a single sample would be.
      two_samples = scipy_stats.ks_2samp(scores[::2], scores[1::2])
      results[score] = {
        'kolmogorov_smirnov': float(
          scipy_stats.kstest(inside, 'uniform').statistic
        ),
        'p_value': float(two_samples.pvalue),
        'quantiles': np.quantile(inside, _QUANTILES),
        'flagged': {
          name: float(np.mean(values <= _SIGNIFICANCE))
          for name, values in by_dataset.items()
        },
      }
    return results

  def means(self):
    """Means of the statistics kept: `dict` by data set and statistic."""
    return {
      dataset: {
        name: mean_and_error(values[name])
        for name in self.kept
        if values[name].ndim == 1
      }
      for dataset, values in self.statistics.items()
    }

  def bits_per_dim(self):
    """Means in bits per dimension by data set; empty without `log_prob`."""
    if self.event_size is None:
      return {}
    return {
      dataset: mean_and_error(
        stats.bits_per_dim(
          by_name['log_prob'].astype(np.float64), self.event_size
        )
      )
      for dataset, by_name in self.statistics.items()
      if 'log_prob' in by_name
    }

  @_made_once
  def typicality(self):
    """Typicality tests of batches.

    Returns:
      `dict` of `TypicalityCurve` by data set out of distribution; empty without
      `log_prob` or training data.
    """
    if self.training is None or not self.bits_per_dim():
      return {}
    log_prob = {name: v['log_prob'] for name, v in self.statistics.items()}
    held_out = log_prob[self.in_distribution][::2]
    fresh = log_prob[self.in_distribution][1::2]
    return {
      name: stats.typicality_curve(
        log_prob[self.training],
        held_out,
        fresh,
        log_prob[name],
        batch_sizes=[
          m
          for m in _BATCH_SIZES
          if 2 * m <= min(len(fresh), len(log_prob[name]))
        ],
        significance=_SIGNIFICANCE,
      )
      for name in self.out_of_distribution
    }

  def records(self):
    """The tables as one list of flat records, such as `pandas.DataFrame` takes.

    Returns:
      List of `dict`s: `score`, `dataset`, `num_examples`, `auroc`, `lower`,
      `upper`, and, out of distribution, the other metrics and `flagged`.
    """
    metrics, calibration = self.metrics(), self.calibration()
    return [
      {
        'score': score,
        'dataset': name,
        'num_examples': len(self.scores[score][name]),
        **auroc._asdict(),
        **metrics[score].get(name, {}),
        'flagged': calibration[score]['flagged'][name],
      }
      for score, by_dataset in self.aurocs().items()
      for name, auroc in by_dataset.items()
    ]

  def results(self):
    """All numbers but those of single examples, as `write_results` takes them."""
    return _finite(
      {
        **self.information,
        'datasets': {
          'in_distribution': self.in_distribution,
          'training': self.training,
          'out_of_distribution': self.out_of_distribution,
        },
        'bits_per_dim': self.bits_per_dim(),
        'means': self.means(),
        'auroc': _as_dicts(self.aurocs()),
        'metrics': self.metrics(),
        'compared_with': {self.baseline: _as_dicts(self.comparisons())},
        'p_values': self.calibration(),
        'typicality': {
          name: curve._asdict() | {'auroc': [a._asdict() for a in curve.auroc]}
          for name, curve in self.typicality().items()
        },
        'sections': {s.title: s.results for s in self.sections if s.results},
      }
    )

  # ----------------------------------------------------------------------- files

  def summary(self):
    """Returns the tables of bits per dimension and of AUROCs as text."""
    lines = []
    for name, bits in self.bits_per_dim().items():
      lines.append(
        f'{name:28}{bits["mean"]:>12.3f} bits/dim +- {bits["standard_error"]:.3f}'
      )
    for score, by_dataset in self.aurocs().items():
      lines.append(f'\n{score:28}{"AUROC":>12}  95 % interval')
      lines += [
        f'{name:28}{auroc.auroc:>12.3f}  [{auroc.lower:.3f}, {auroc.upper:.3f}]'
        for name, auroc in by_dataset.items()
      ]
    return '\n'.join(lines)

  def write_report(self, folder, title=None):
    """Writes report.html, and its figures as files in figures/.

    Args:
      folder: `str`, to write to.
      title: `str`. Default: that of the information, if any.

    Returns:
      The path of the report.
    """
    title = title or self.information.get('title') or 'Evaluation'
    report = reporting.Report(title)
    for section in _sections.all_sections(self):
      section.add_to(report)
    path = os.path.join(folder, 'report.html')
    report.write(path, os.path.join(folder, 'figures'))
    return path

  def save(self, folder):
    """Writes results.json, the numbers, and evaluation.npz, all there is.

    Args:
      folder: `str`, to write to.
    """
    fields = {
      field.name: getattr(self, field.name)
      for field in dataclasses.fields(self)
      if field.init and field.name != 'make_detector'
    }
    sections = [section.tree() for section in self.sections]
    reporting.write_tree(
      os.path.join(folder, _FILE), fields | {'sections': sections}
    )
    # Last: this file says that all others are there.
    reporting.write_results(
      os.path.join(folder, 'results.json'), self.results()
    )

  @classmethod
  def load(cls, folder):
    """Reads what `save` wrote.

    Args:
      folder: `str`.

    Returns:
      `Evaluation`, without the model.

    Raises:
      FileNotFoundError: If there is none.
      ValueError: If the file is damaged.
    """
    tree = reporting.read_tree(os.path.join(folder, _FILE))
    sections = [reporting.Section.from_tree(t) for t in tree.pop('sections')]
    return cls(sections=sections, **tree)


def mean_and_error(values):
  """Returns mean, standard error and number of some values, for results.json."""
  values = np.asarray(values, np.float64)
  error = (
    np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
  )
  return {
    'mean': float(np.mean(values)),
    'standard_error': float(error),
    'num_examples': len(values),
  }


def _as_dicts(tables):
  return {
    score: {name: result._asdict() for name, result in by_dataset.items()}
    for score, by_dataset in tables.items()
  }


def _finite(value):
  """Replaces what JSON cannot hold, NaN and infinity, by `None`."""
  if isinstance(value, np.ndarray):
    value = value.tolist()
  if isinstance(value, dict):
    return {key: _finite(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_finite(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
