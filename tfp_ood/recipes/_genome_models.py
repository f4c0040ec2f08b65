# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The models of reads that an experiment with genomes compares."""

import functools
import os

import tensorflow as tf
import tf_keras

from tfp_ood import datasets, distributions, networks, training
from tfp_ood.recipes._background_choices import background_folder

__all__ = ['NUM_BASES', 'ODIN_TEMPERATURE', 'GenomeModels']

NUM_BASES = 4
ODIN_TEMPERATURE = 1000.0
_MOST_CLASSIFIERS = 100
_WARMUP_STEPS = 100


class GenomeModels:
  """The models of one seed, each trained or restored when it is asked for first."""

  def __init__(self, run, seed):
    self.seed = seed
    self.records = {}
    self._run, self._config = run, run.config
    self.background = functools.cache(self._background)
    self._network = functools.cache(self._member)

  @functools.cached_property
  def model(self):
    """The model of the known genomes."""
    minutes = self._config['train_minutes']
    return self._sequence_model('model', minutes, 0.0, 0.0)

  def _background(self, rate, decay):
    return self._sequence_model(
      background_folder(rate, decay),
      self._config['background_minutes'],
      rate,
      decay,
    )

  def _sequence_model(self, name, minutes, rate, decay):
    config = self._config
    distribution = distributions.sequence_model(
      config['read_length'],
      num_values=NUM_BASES,
      num_units=config['num_units'],
      num_context=config['num_context'],
      seed=self.seed,
    )
    model = training.DistributionModel(distribution, seed=self.seed)
    model.compile(self._optimizer('', decay))
    reads = self._run.training_reads(
      self.seed,
      batch_size=config['batch_size'],
      random_transformation=_mutation(rate) if rate else None,
    )
    self._train(model, name, reads, minutes)
    return distribution

  def classifier(self, perturbation=0.0):
    """The first classifier of the ensemble, with a step of ODIN."""
    return networks.SequenceClassifier(
      self._network(0),
      NUM_BASES,
      perturbation=perturbation,
      temperature=ODIN_TEMPERATURE,
    )

  def ensemble(self):
    """All classifiers as one."""
    return networks.ClassifierEnsemble(
      networks.SequenceClassifier(self._network(number), NUM_BASES)
      for number in range(self._config['ensemble_size'])
    )

  def mutation_classifier(self, rate):
    """A classifier of reads as they are against mutated ones.

    Its logits are log-probabilities.
    """
    name = f'mutation_classifier_{rate:g}'
    seed = self._seed(self._config['ensemble_size'])

    def both(reads, mutated):
      (reads, _), (mutated, _) = reads, mutated
      is_mutated = tf.repeat([0, 1], [tf.shape(reads)[0], tf.shape(mutated)[0]])
      return tf.concat([reads, mutated], axis=0), is_mutated

    size = self._config['classifier_batch_size'] // 2
    dataset = tf.data.Dataset.zip(
      self._run.training_reads(seed, batch_size=size),
      self._run.training_reads(
        seed + 1, batch_size=size, random_transformation=_mutation(rate)
      ),
    ).map(both)
    network = self._classifier(name, 2, dataset, seed)
    return networks.ClassifierEnsemble(
      [networks.SequenceClassifier(network, NUM_BASES)]
    )

  def _member(self, number):
    seed = self._seed(number)
    return self._classifier(
      f'classifier_{number}',
      self._run.num_known,
      self._run.training_reads(
        seed, batch_size=self._config['classifier_batch_size']
      ),
      seed,
    )

  def _seed(self, number):
    """One for each classifier of each run."""
    return self.seed * _MOST_CLASSIFIERS + number

  def _classifier(self, name, num_classes, dataset, seed):
    network = networks.read_classifier(
      self._config['read_length'], num_classes, num_values=NUM_BASES, seed=seed
    )
    network.compile(
      self._optimizer('classifier_'),
      tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
      metrics=['accuracy'],
    )
    one_hot = dataset.map(lambda x, labels: (tf.one_hot(x, NUM_BASES), labels))
    minutes = self._config['classifier_minutes']
    self._train(network, name, one_hot, minutes, 'classifier_')
    return network

  def _optimizer(self, kind, decay=0.0):
    return training.adam(
      self._config[f'{kind}learning_rate'],
      global_clipnorm=1.0,
      ema_momentum=0.99,
      weight_decay=decay or None,
    )

  def _train(self, model, name, reads, minutes, kind=''):
    self.records[name] = training.train_or_restore(
      model,
      os.path.join(self._run.folder, f'seed_{self.seed}', name),
      self._config | {'name': name},
      reads,
      minutes=minutes,
      learning_rate=self._config[f'{kind}learning_rate'],
      warmup_steps=_WARMUP_STEPS,
    )


def _mutation(rate):
  """Returns what is done to reads at random."""
  return functools.partial(_mutate, rate=rate)


def _mutate(reads, seed, rate):
  return datasets.mutate(reads, rate, seed, num_values=NUM_BASES)
