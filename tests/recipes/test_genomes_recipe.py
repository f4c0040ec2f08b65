# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the recipe of genomes, on small ones made here."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import datasets, recipes, reporting, stats
from tfp_ood.evaluation import Evaluation

pytest.importorskip('Bio', reason='needs Biopython')
pytestmark = pytest.mark.slow

_FOLDERS = {
  'in_distribution': ('a', 'b'),
  'ood_validation': ('c', 'd'),
  'ood_test': ('e', 'f', 'g'),
}
_SETTINGS = {
  'read_length': 40,
  'num_units': 4,
  'num_context': 1,
  'batch_size': 16,
  'classifier_batch_size': 16,
  'train_minutes': 0.01,
  'background_minutes': 0.01,
  'classifier_minutes': 0.01,
  'mutation_rates': ['0.1', '0.3'],
  'perturbations': ['0', '0.01'],
  'num_training': 64,
  'num_evaluated': 60,
  'num_validation': 40,
}


def _write_genomes(folder):
  """Genomes whose bases follow each other in ways of their own."""
  generator = np.random.default_rng(0)
  for name, genomes in _FOLDERS.items():
    (folder / name).mkdir(parents=True)
    for genome in genomes:
      table = generator.dirichlet(np.ones(4) / 2, size=4).cumsum(axis=1)
      bases = [0]
      for draw in generator.random(3000):
        bases.append(int(np.searchsorted(table[bases[-1]], draw)))
      letters = ''.join('ACGT'[min(base, 3)] for base in bases)
      (folder / name / f'{genome}.fasta').write_text(f'>{genome}\n{letters}\n')


def _run(folder, **settings):
  return recipes.GenomeRun(
    folder / 'run',
    *(str(folder / name) for name in _FOLDERS),
    preset='tiny',
    settings=_SETTINGS | settings,
  )


@pytest.fixture(scope='module', name='run')
def _finished(tmp_path_factory):
  folder = tmp_path_factory.mktemp('genomes')
  _write_genomes(folder)
  return folder, _run(folder).run()


def test_the_files_of_a_run(run):
  folder, found = run
  loaded = Evaluation.load(folder / 'run')
  assert loaded.results() == found.results()
  page = (folder / 'run' / 'report.html').read_text('utf-8')
  for text in ('Which background model?', 'Over training runs', 'GC content'):
    assert text in page
  drawn = {path.stem for path in (folder / 'run' / 'figures').iterdir()}
  assert {
    'reads_of_other_genomes_maps_least_likely',
    'test_reads_maps_most_likely',
    'reads_of_other_genomes_auroc_by_GC_content',
  } <= drawn


def test_the_exported_detector_scores_alike(run):
  folder, found = run
  detector = tf.saved_model.load(str(folder / 'run' / 'detector'))
  reads = datasets.reads(
    str(folder / 'ood_test'), '', 40, num_reads=60, batch_size=60, seed=4
  )
  np.testing.assert_allclose(
    detector.score(next(iter(reads))[0]),
    found.scores['likelihood_ratio']['reads of other genomes'],
    rtol=1e-3,
    atol=1e-3,
  )


def test_the_markov_chains_tell_these_genomes_apart(run):
  _, found = run
  aurocs = found.aurocs()
  assert aurocs['markov_likelihood']['reads of other genomes'].auroc > 0.9
  # And no reads of the training part from those of the test part.
  assert 0.3 < aurocs['markov_likelihood']['training reads'].auroc < 0.7


def test_the_choice_is_by_the_validation_genomes(run):
  _, found = run
  choice = found.results()['sections']['Which background model?']
  best = max(
    choice['auroc'],
    key=lambda name: choice['auroc'][name]['validation genomes']['auroc'],
  )
  assert choice['chosen'] == best
  assert list(choice['odin']) == ['0', '0.01']


def test_scores_are_of_the_reads_that_they_say(run):
  folder, found = run
  again = datasets.reads(
    str(folder / 'ood_test'), '', 40, num_reads=60, batch_size=128, seed=4
  )
  gc = np.concatenate([datasets.gc_content(x) for x, _ in again])
  labels = np.concatenate([labels for _, labels in again])
  by_class = found.results()['sections'][
    'reads of other genomes, class by class'
  ]
  assert list(by_class) == list(_FOLDERS['ood_test'])
  for number, values in enumerate(by_class.values()):
    assert values['properties']['GC content'] == pytest.approx(
      gc[labels == number].mean()
    )
    scores = found.scores['markov_ratio']
    assert values['auroc']['markov_ratio']['auroc'] == pytest.approx(
      stats.auroc(
        scores['test reads'], scores['reads of other genomes'][labels == number]
      )
    )


@pytest.mark.exhaustive
def test_a_finished_run_trains_nothing_again(run, capsys):
  folder, found = run
  again = _run(folder).run()
  assert 'epoch' not in capsys.readouterr().out
  assert again.aurocs() == found.aurocs()


@pytest.mark.exhaustive
def test_each_seed_has_models_of_its_own(tmp_path):
  _write_genomes(tmp_path)
  found = _run(tmp_path, num_seeds=2).run()
  for seed in (0, 1):
    names = {p.name for p in (tmp_path / 'run' / f'seed_{seed}').iterdir()}
    assert {'model', 'classifier_0', 'classifier_1', 'statistics'} <= names
  settings = reporting.read_results(tmp_path / 'run' / 'configuration.json')
  assert settings['num_seeds'] == 2
  over_runs = found.results()['sections']['Over training runs']['auroc']
  by_dataset = over_runs['negative_log_likelihood'].values()
  assert {found['num_runs'] for found in by_dataset} == {2}
