# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads of bacteria: "Likelihood Ratios for Out-of-Distribution Detection"."""

import functools
import os
import time

import numpy as np

from tfp_ood import (
  datasets,
  distributions,
  evaluation,
  stats,
  training,
)
from tfp_ood._one_trace import OneTrace
from tfp_ood.recipes._background_choices import background_choices
from tfp_ood.recipes._genome_models import (
  NUM_BASES,
  ODIN_TEMPERATURE,
  GenomeModels,
)
from tfp_ood.recipes.recipe import Recipe, Setting

__all__ = ['GENOME_SETTINGS', 'GenomeRun']

GENOME_SETTINGS = {
  'read_length': Setting(250, 'Bases of a read.', minimum=1),
  'num_units': Setting((8, 64, 2000), 'Units of the recurrent network.'),
  'num_context': Setting(
    (2, 6, 6), 'Bases before the next that the network sees at once.'
  ),
  'batch_size': Setting((32, 32, 100), 'Reads of a training step.'),
  'learning_rate': Setting(5e-3, "Adam's rate; it falls to zero by the clock."),
  'train_minutes': Setting((0.1, 5.0, 600.0), 'Minutes for the model.'),
  'background_minutes': Setting(
    (0.1, 2.5, 600.0), 'Minutes for each background model.'
  ),
  'classifier_batch_size': Setting(128, 'Reads of a step of the classifiers.'),
  'classifier_learning_rate': Setting(1e-3, 'Likewise of the classifiers.'),
  'classifier_minutes': Setting(
    (0.05, 0.5, 60.0), 'Minutes for each classifier.'
  ),
  'mutation_rates': Setting(
    [0.1, 0.2],
    'Rates of mutation to choose from, by the validation genomes.',
    minimum=0.0,
    maximum=1.0,
    entries=float,
  ),
  'weight_decays': Setting(
    [0.0],
    'Weight decays of the background to choose from, likewise.',
    minimum=0.0,
    entries=float,
  ),
  'perturbations': Setting(
    [0.0, 0.002, 0.01, 0.05],
    'Steps of ODIN to choose from, likewise.',
    minimum=0.0,
    entries=float,
  ),
  'markov_order': Setting((2, 5, 5), 'Of the Markov chains of each genome.'),
  'ensemble_size': Setting((2, 5, 5), 'Classifiers of the ensemble.'),
  'num_seeds': Setting((1, 3, 3), 'Runs that differ in their seeds alone.'),
  'num_training': Setting(
    (1_000, 20_000, 100_000), 'Reads of an epoch, drawn anew in each.'
  ),
  'num_evaluated': Setting(
    (200, 6_000, 10_000), 'Reads of each data set to score.'
  ),
  'num_validation': Setting(
    (100, 2_000, 10_000), 'Reads of each data set to choose by.'
  ),
}
_BATCH_SIZE = 128  # Of what is scored.
_PARTS = {'train': '[:80%]', 'validation': '[80%:90%]', 'test': '[90%:]'}
# Pieces of genomes are compared by how often each of these words is in them.
_WORD_LENGTH = 4
_IN, _OUT, _TRAIN = 'test reads', 'reads of other genomes', 'training reads'


class GenomeRun:
  """An autoregressive model of reads of bacteria, and all it is compared with.

  One genome is one FASTA file. Of each known genome, the first 80 % of the positions
  are for training, the next 10 % for choosing, the last 10 % for the results. What is
  chosen (rate of mutation, weight decay, step of ODIN) is chosen by the validation
  genomes, with the models of the first seed; the other genomes are scored once, at the
  end.

  The folder holds the weights of all models, statistics of all reads, results.json,
  report.html and, in detector/, a detector by the likelihood ratio for programs that
  have only TensorFlow. The same settings again go on with what was interrupted.

  #### Example

  >>> import tfp_ood
  >>> run = tfp_ood.recipes.GenomeRun(
  ...     'outputs/genomes', 'known', 'validation', 'other', preset='tiny')
  >>> run.config['read_length']  # `run.run()` trains, scores and writes the report.
  250
  """

  def __init__(
    self,
    folder,
    in_distribution,
    validation,
    out_of_distribution,
    preset='small',
    settings=None,
  ):
    """Sets up a run.

    Args:
      folder: `str`, to write to.
      in_distribution: folder of the known genomes, or what else `datasets.reads` takes.
      validation: likewise, of genomes out of distribution to choose by.
      out_of_distribution: likewise, of those to report.
      preset: one of `tfp_ood.recipes.PRESETS`.
      settings: `dict` of values in the place of the defaults of `GENOME_SETTINGS`.

    Raises:
      SettingError: if there is no such setting, or not that value of it.
    """
    self.folder = str(folder)
    self._paths = {
      'in_distribution': in_distribution,
      'validation': validation,
      'out_of_distribution': out_of_distribution,
    }
    self._markov = self._composition = None
    recipe = Recipe('Reads of bacteria', None, GENOME_SETTINGS, {})
    self.config, _ = recipe.settings(preset, settings)

  def run(self, information=None):
    """Trains what is not trained, scores what is not scored, and writes the report.

    Args:
      information: `dict` of what the report is to say, such as the command.

    Returns:
      `tfp_ood.evaluation.Evaluation` of the first seed, with the others in a section.
    """
    start = time.monotonic()
    settings = {k: str(v) for k, v in self._paths.items()} | self.config
    training.keep_settings(self.folder, settings)
    self._markov = self._markov_mixture(self.config['markov_order'])
    # What single bases tell: the background of the Markov chains.
    self._composition = self._markov_mixture(0)
    sections, chosen, evaluations = [], None, {}
    for seed in range(self.config['num_seeds']):
      models = GenomeModels(self, seed)
      if chosen is None:
        chosen, sections = self._chosen(models)
      evaluations[f'seed_{seed}'] = self._evaluated(models, chosen)
      if not seed:
        first = models
    found = evaluations['seed_0']
    self._analyze(found, evaluations, first, chosen)
    for section in [*sections, evaluation.training_curves(first.records)]:
      found.add(section)
    found.information |= {
      'title': 'An autoregressive model of reads of bacteria',
      **(information or {}),
      'configuration': settings,
      'seconds': time.monotonic() - start,
    }
    found.detector('likelihood_ratio').export_saved_model(
      os.path.join(self.folder, 'detector')
    )
    found.write_report(self.folder)
    found.save(self.folder)
    return found

  def reads(self, which, part='', number=None, **options):
    """Returns reads of one of the folders; see `tfp_ood.datasets.reads`."""
    return datasets.reads(
      self._paths[which],
      part,
      self.config['read_length'],
      num_reads=number,
      **{'batch_size': _BATCH_SIZE, **options},
    )

  def genome_names(self, which):
    """Returns the names of the genomes of one of the folders, a list."""
    return datasets.genome_names(self._paths[which])

  def training_reads(self, seed, **options):
    """Returns reads to train on, others in each epoch."""
    return self.reads(
      'in_distribution',
      _PARTS['train'],
      self.config['num_training'],
      fresh=True,
      seed=seed,
      **options,
    )

  @functools.cached_property
  def num_known(self):
    """How many known genomes there are."""
    return len(self.genome_names('in_distribution'))

  def _markov_mixture(self, order):
    """A Markov chain of each known genome, mixed: a classifier too."""
    mixture = distributions.MarkovMixture(
      self.config['read_length'],
      order,
      num_values=NUM_BASES,
      num_components=self.num_known,
    )
    return mixture.fit(self.reads('in_distribution', _PARTS['train']))

  def _chosen(self, models):
    """Chooses by the validation genomes, with the models of the first seed."""
    number = self.config['num_validation']
    inside = self.reads('in_distribution', _PARTS['validation'], number, seed=1)
    outside = {
      'validation genomes': self.reads('validation', '', number, seed=2)
    }
    choices = background_choices(
      self.config['mutation_rates'], self.config['weight_decays']
    )
    name, section = evaluation.choose_background(
      models.model,
      {name: models.background(*choice) for name, choice in choices.items()},
      inside,
      outside,
    )
    aurocs = {
      step: _odin_auroc(models.classifier(step), inside, outside)
      for step in self.config['perturbations']
    }
    step = max(aurocs, key=aurocs.get)
    section.results['odin'] = {f'{s:g}': value for s, value in aurocs.items()}
    section.add_table(
      ['step of ODIN', *outside],
      [
        [f'{s:g}{", chosen" if s == step else ""}', f'{value:.3f}']
        for s, value in aurocs.items()
      ],
      caption=f'AUROC of ODIN at temperature {ODIN_TEMPERATURE:g}.',
    )
    return (*choices[name], step), [section]

  def _evaluated(self, models, chosen):
    """Scores the reads that are reported by all models of a seed."""
    rate, decay, step = chosen
    number = self.config['num_evaluated']
    return evaluation.evaluate(
      models.model,
      _scores(),
      {_IN: self.reads('in_distribution', _PARTS['test'], number, seed=3)},
      {_OUT: self.reads('out_of_distribution', '', number, seed=4)},
      training={
        _TRAIN: self.reads('in_distribution', _PARTS['train'], number, seed=5)
      },
      background=models.background(rate, decay),
      classifier=models.classifier(step),
      statistics={
        'markov_log_prob': (self._markov, 'log_prob'),
        'markov_logits': (self._markov, 'logits'),
        'composition_log_prob': (self._composition, 'log_prob'),
        'ensemble_logits': (models.ensemble(), 'logits'),
        'mutation_log_probs': (models.mutation_classifier(rate), 'logits'),
      },
      recommended='likelihood_ratio',
      folder=os.path.join(self.folder, f'seed_{models.seed}'),
    )

  def _analyze(self, found, evaluations, models, chosen):
    """Adds what the runs, the genomes, their bases and maps say."""
    found.add(evaluation.over_runs(evaluations))
    number = self.config['num_evaluated']
    data = {
      _IN: self.reads('in_distribution', _PARTS['test'], number, seed=3),
      _OUT: self.reads('out_of_distribution', '', number, seed=4),
    }
    known = _words_by_genome(
      self.reads('in_distribution', _PARTS['train'], number, seed=5)
    )
    labels = np.concatenate([labels for _, labels in data[_OUT]])
    gc = {
      name: np.concatenate([datasets.gc_content(x) for x, _ in dataset])
      for name, dataset in data.items()
    }
    names = self.genome_names('out_of_distribution')
    compared = ['negative_log_likelihood', 'likelihood_ratio', 'markov_ratio']
    found.add(
      evaluation.by_class(
        found,
        _OUT,
        labels,
        names,
        compared,
        {
          'GC content': np.array(
            [gc[_OUT][labels == k].mean() for k in range(len(names))]
          ),
          'distance from the nearest known genome (bits)': np.array(
            [
              min(_divergence(words, other) for other in known)
              for words in _words_by_genome(data[_OUT])
            ]
          ),
        },
      )
    )
    found.add(evaluation.scores_against(found, gc, 'GC content', compared))
    rate, decay, _ = chosen
    background = models.background(rate, decay)
    found.add(evaluation.sequence_maps(found, models.model, data, background))


def _scores():
  return {
    'negative_log_likelihood': stats.NegativeLogLikelihood(),
    'likelihood_ratio': stats.LikelihoodRatio(),
    'typicality': stats.Typicality(),
    'markov_likelihood': stats.NegativeLogLikelihood('markov_log_prob'),
    'markov_ratio': stats.LikelihoodRatio(
      'markov_log_prob', 'composition_log_prob'
    ),
    'hybrid_max_probability': stats.MaxSoftmax(statistic='markov_logits'),
    'max_probability': stats.MaxSoftmax(statistic='classifier_logits'),
    'entropy': stats.PredictiveEntropy(statistic='classifier_logits'),
    'odin': stats.MaxSoftmax(
      ODIN_TEMPERATURE, statistic='classifier_perturbed_logits'
    ),
    'ensemble_max_probability': stats.MaxSoftmax(statistic='ensemble_logits'),
    'ensemble_entropy': stats.PredictiveEntropy(statistic='ensemble_logits'),
    'mahalanobis': stats.MahalanobisDistance(),
    'against_mutated_reads': stats.StatisticScore(
      'mutation_log_probs', column=1
    ),
  }


def _odin_auroc(classifier, inside, outside):
  """AUROC of ODIN, the mean over data sets."""
  score = stats.MaxSoftmax(ODIN_TEMPERATURE, statistic='perturbed_logits')

  of_batch = OneTrace(
    lambda reads: score(classifier.statistics(reads, score.statistics))
  )

  def of_dataset(dataset):
    return np.concatenate([of_batch(reads) for reads, _ in dataset])

  scores = of_dataset(inside)
  return float(
    np.mean([stats.auroc(scores, of_dataset(d)) for d in outside.values()])
  )


def _words_by_genome(reads):
  """How often each word is in the reads of each genome, `[genomes, words]`."""
  counts = {}
  for values, labels in reads:
    words = sum(
      values[:, k : values.shape[1] - _WORD_LENGTH + 1 + k]
      * NUM_BASES ** (_WORD_LENGTH - 1 - k)
      for k in range(_WORD_LENGTH)
    ).numpy()
    for label in np.unique(labels):
      found = np.bincount(
        words[labels == label].ravel(), minlength=NUM_BASES**_WORD_LENGTH
      )
      counts[label] = counts.get(label, 0) + found
  return [counts[k] / counts[k].sum() for k in sorted(counts)]


def _divergence(p, q):
  """The Jensen-Shannon divergence of two distributions of words, in bits."""
  middle = (p + q) / 2

  def relative_entropy(r):
    is_there = r > 0
    return np.sum(r[is_there] * np.log2(r[is_there] / middle[is_there]))

  return (relative_entropy(p) + relative_entropy(q)) / 2
