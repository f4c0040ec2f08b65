# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the tables of an evaluation, its report and its files."""

import itertools
import json

import numpy as np
import pytest
from evaluation.pages import Page
from sklearn import metrics as sklearn_metrics

import tfp_ood
from tfp_ood import reporting, stats

_NAMES = ['test', 'train', 'far', 'near']
_COUNTS = {'test': 60, 'train': 80, 'far': 40, 'near': 30}
_MEANS = {'test': 0.0, 'train': 0.0, 'far': -3.0, 'near': -0.5}


def _evaluation():
  """An evaluation of statistics drawn at random."""
  generator = np.random.default_rng(0)
  statistics = {
    name: {
      'log_prob': generator.normal(_MEANS[name], 1, _COUNTS[name]) * 20 - 200,
      'latent': generator.normal(size=[_COUNTS[name], 2]),
    }
    for name in _NAMES
  }
  scores = {
    'negative_log_likelihood': {
      name: -values['log_prob'] for name, values in statistics.items()
    },
    # Coarse: it has ties. The costly score is of the first examples alone.
    'coarse': {
      name: np.round(-values['log_prob'] / 30)
      for name, values in statistics.items()
    },
    'costly': {
      name: values['latent'][:20, 0] for name, values in statistics.items()
    },
  }
  p_values = {
    score: {
      name: stats.conformal_p_values(
        values['test'][::2],
        values['test'][1::2] if name == 'test' else values[name],
      ).numpy()
      for name in _NAMES
    }
    for score, values in scores.items()
  }
  return tfp_ood.evaluation.Evaluation(
    'test',
    'train',
    ['far', 'near'],
    statistics,
    scores,
    p_values,
    kept=['log_prob', 'latent'],
    event_size=48,
    recommended='coarse',
    information={'command': 'python model.py --seed=1', 'notes': ['In nats.']},
  )


@pytest.fixture(scope='module', name='evaluation')
def _shared_evaluation():
  return _evaluation()


def _pairs_in_order(inside, outside):
  """The AUROC by its definition."""
  outside = outside[:, np.newaxis]
  return (outside > inside).mean() + 0.5 * (outside == inside).mean()


# ------------------------------------------------------------------------- tables


def test_aurocs(evaluation):
  aurocs = evaluation.aurocs()
  assert list(aurocs) == ['negative_log_likelihood', 'coarse', 'costly']
  for score, by_dataset in aurocs.items():
    assert list(by_dataset) == ['train', 'far', 'near']
    values = evaluation.scores[score]
    for name, auroc in by_dataset.items():
      assert auroc.auroc == pytest.approx(
        _pairs_in_order(values['test'], values[name])
      )
      assert auroc == stats.auroc_confidence_interval(
        values['test'], values[name]
      )
      assert 0 <= auroc.lower <= auroc.auroc <= auroc.upper <= 1


def test_metrics_count_either_side_as_positive(evaluation):
  metrics = evaluation.metrics()
  for score, values in evaluation.scores.items():
    assert list(metrics[score]) == ['far', 'near']
    for name, found in metrics[score].items():
      scores = np.concatenate([values['test'], values[name]])
      is_out = np.repeat(
        [False, True], [len(values['test']), len(values[name])]
      )
      assert found['average_precision_out'] == pytest.approx(
        sklearn_metrics.average_precision_score(is_out, scores)
      )
      assert found['average_precision_in'] == pytest.approx(
        sklearn_metrics.average_precision_score(~is_out, -scores)
      )
      for side in ('out', 'in'):
        assert 0 <= found[f'false_positive_rate_at_95_tpr_{side}'] <= 1
      assert 0 <= found['detection_error'] <= 0.5


def test_comparisons_are_of_the_examples_that_both_have_scored(evaluation):
  baseline = evaluation.scores['negative_log_likelihood']
  compared = evaluation.comparisons()
  assert list(compared) == ['coarse', 'costly']
  for score, name in itertools.product(compared, ['far', 'near']):
    values, test = evaluation.scores[score], compared[score][name]
    first, second = (
      _pairs_in_order(
        scores['test'][: len(values['test'])], scores[name][: len(values[name])]
      )
      for scores in (values, baseline)
    )
    assert test.difference == pytest.approx(first - second)
    assert test.lower <= test.difference <= test.upper
    assert 0 <= test.p_value <= 1


def test_comparisons_with_another_score(evaluation):
  compared = evaluation.comparisons('coarse')
  assert list(compared) == ['negative_log_likelihood', 'costly']
  test = evaluation.comparisons()['coarse']['far']
  other = compared['negative_log_likelihood']['far']
  assert other.difference == pytest.approx(-test.difference)
  assert other.p_value == pytest.approx(test.p_value)


def test_calibration(evaluation):
  for score, found in evaluation.calibration().items():
    p_values = evaluation.p_values[score]
    inside = p_values['test']
    np.testing.assert_allclose(
      found['quantiles'], np.quantile(inside, np.linspace(0, 1, 101))
    )
    assert list(found['flagged']) == _NAMES
    for name, share in found['flagged'].items():
      assert share == pytest.approx(np.mean(p_values[name] <= 0.05))
    steps, count = np.sort(inside), len(inside)
    distance = max(
      np.max(np.arange(1, count + 1) / count - steps),
      np.max(steps - np.arange(count) / count),
    )
    assert found['kolmogorov_smirnov'] == pytest.approx(distance)
    assert 0 <= found['p_value'] <= 1


def test_means_are_of_numbers(evaluation):
  for name, found in evaluation.means().items():
    assert list(found) == ['log_prob']
    values = evaluation.statistics[name]['log_prob']
    assert found['log_prob'] == {
      'mean': pytest.approx(values.mean()),
      'standard_error': pytest.approx(values.std(ddof=1) / len(values) ** 0.5),
      'num_examples': len(values),
    }


def test_bits_per_dim(evaluation):
  for name, bits in evaluation.bits_per_dim().items():
    log_prob = evaluation.statistics[name]['log_prob'].mean()
    assert bits['mean'] == pytest.approx(-log_prob / 48 / np.log(2))


def test_typicality_by_size_of_the_batch(evaluation):
  curves = evaluation.typicality()
  assert list(curves) == ['far', 'near']
  log_prob = {n: v['log_prob'] for n, v in evaluation.statistics.items()}
  expected = log_prob['train'].mean()
  for name, curve in curves.items():
    assert list(curve.batch_sizes) == [1, 2, 5, 10]
    # A batch of one is the score.
    inside, outside = (
      np.abs(values - expected)
      for values in (log_prob['test'][1::2], log_prob[name])
    )
    assert curve.auroc[0].auroc == pytest.approx(
      _pairs_in_order(inside, outside)
    )


def test_without_training_data_or_likelihood_there_is_no_typicality():
  for change in ({'training': None}, {'event_size': None}):
    evaluation = _evaluation()
    for name, value in change.items():
      setattr(evaluation, name, value)
    assert evaluation.typicality() == {}
    assert 'Typicality of batches' not in _headings(evaluation)


def _headings(evaluation):
  from tfp_ood.evaluation import _sections

  return [section.title for section in _sections.all_sections(evaluation)]


def test_records_are_flat(evaluation):
  records = evaluation.records()
  assert len(records) == 9
  aurocs, metrics = evaluation.aurocs(), evaluation.metrics()
  for record in records:
    score, name = record['score'], record['dataset']
    assert record['auroc'] == aurocs[score][name].auroc
    assert record['num_examples'] == len(evaluation.scores[score][name])
    for metric, value in metrics[score].get(name, {}).items():
      assert record[metric] == value
    assert all(np.isscalar(value) for value in record.values())


def test_the_summary(evaluation):
  lines = evaluation.summary().splitlines()
  for name, bits in evaluation.bits_per_dim().items():
    assert any(
      line.startswith(name) and f'{bits["mean"]:.3f}' in line for line in lines
    )
  for by_dataset in evaluation.aurocs().values():
    for name, auroc in by_dataset.items():
      assert any(
        line.startswith(name) and f'{auroc.auroc:.3f}' in line for line in lines
      )


# -------------------------------------------------------------------------- files


def _with_section():
  section = reporting.Section(
    'An analysis', {'factor': np.array([0.5, np.nan])}
  )
  section.add_figure(
    'line',
    reporting.curve,
    'A line.',
    x=[1, 2],
    series_by_name={'line': np.array([3.0, 4.0])},
    xlabel='x',
    ylabel='y',
  )
  return _evaluation().add(section)


def test_results_are_json(evaluation):
  results = _with_section().results()
  # NaN is no JSON.
  text = json.dumps(results, allow_nan=False)
  assert json.loads(text)['sections']['An analysis'] == {'factor': [0.5, None]}
  assert results['command'] == 'python model.py --seed=1'
  assert results['datasets'] == {
    'in_distribution': 'test',
    'training': 'train',
    'out_of_distribution': ['far', 'near'],
  }
  auroc = evaluation.aurocs()['coarse']['far']
  assert results['auroc']['coarse']['far'] == auroc._asdict()
  assert list(results['compared_with']) == ['negative_log_likelihood']


def test_what_is_saved_is_loaded(tmp_path):
  saved = _with_section()
  saved.save(tmp_path)
  loaded = tfp_ood.evaluation.Evaluation.load(tmp_path)
  assert loaded.results() == saved.results()
  assert loaded.summary() == saved.summary()
  assert reporting.read_results(tmp_path / 'results.json') == saved.results()
  for name, values in saved.statistics.items():
    for statistic, array in values.items():
      np.testing.assert_array_equal(loaded.statistics[name][statistic], array)
  with pytest.raises(ValueError, match='loaded evaluation has no model'):
    loaded.detector('coarse')
  assert [path.name for path in tmp_path.iterdir() if path.name[0] == '.'] == []


@pytest.mark.slow
def test_reports_of_what_was_loaded_are_the_same(tmp_path):
  saved = _with_section()
  saved.save(tmp_path)
  saved.write_report(tmp_path / 'first')
  loaded = tfp_ood.evaluation.Evaluation.load(tmp_path)
  loaded.write_report(tmp_path / 'second')
  first, second = (
    sorted(path for path in (tmp_path / name).rglob('*') if path.is_file())
    for name in ('first', 'second')
  )
  assert [p.name for p in first] == [p.name for p in second]
  for path, other in zip(first, second, strict=True):
    assert path.read_bytes() == other.read_bytes(), path.name


@pytest.mark.parametrize('keep', [0, 10, 0.5, 0.99])
def test_damaged_files_are_refused(tmp_path, keep):
  _evaluation().save(tmp_path)
  path = tmp_path / 'evaluation.npz'
  content = path.read_bytes()
  length = keep if isinstance(keep, int) else int(keep * len(content))
  path.write_bytes(content[:length])
  with pytest.raises(ValueError, match='not a whole file') as error:
    tfp_ood.evaluation.Evaluation.load(tmp_path)
  assert str(path) in str(error.value)


def test_there_must_be_something_to_load(tmp_path):
  with pytest.raises(FileNotFoundError):
    tfp_ood.evaluation.Evaluation.load(tmp_path)


# -------------------------------------------------------------------------- report


@pytest.fixture(scope='module', name='report')
def _report(tmp_path_factory):
  folder = tmp_path_factory.mktemp('report')
  path = _with_section().write_report(folder, title='A model')
  assert path == str(folder / 'report.html')
  return folder


@pytest.fixture(name='page')
def _page(report):
  return (report / 'report.html').read_text(encoding='utf-8')


def test_the_report_stands_alone(page):
  references = Page(page)
  assert len(references.images) >= 8
  assert all(source.startswith('data:image/') for source in references.images)
  assert references.others == []
  assert 'url(' not in page.replace('url(data:', '')
  assert '<title>A model</title>' in page
  assert 'python model.py --seed=1' in page
  assert 'In nats.' in page


def test_the_report_has_every_section(page):
  headings = Page(page).headings
  for heading in (
    'In short',
    'Which score tells the data sets apart?',
    'Score by score',
    'Negative log likelihood',
    'Coarse',
    'Beside the negative log likelihood',
    'Typicality of batches',
    'Are the p-values what they say?',
    'An analysis',
  ):
    assert heading in headings


def test_the_report_begins_with_one_figure_and_one_paragraph(page, evaluation):
  references = Page(page)
  assert references.headings[:2] == ['In short', references.headings[1]]
  start = page.split('In short</h2>')[1].split('<h2')[0]
  assert start.count('<p>') == start.count('<img ') == 1
  auroc = evaluation.aurocs()['negative_log_likelihood']['far'].auroc
  assert auroc > 0.5
  assert f'in {100 * auroc:.0f} of 100 cases' in start
  flagged = evaluation.calibration()['coarse']['flagged']
  assert f'flags {100 * flagged["far"]:.0f} % of far' in start
  assert f'raised {100 * flagged["test"]:.1f} %' in start


def test_a_likelihood_that_misleads_is_said_to(tmp_path):
  evaluation = _evaluation()
  for by_dataset in evaluation.scores.values():
    by_dataset['far'] = -by_dataset['far']
  evaluation.recommended = None
  page = open(evaluation.write_report(tmp_path), encoding='utf-8').read()
  auroc = evaluation.aurocs()['negative_log_likelihood']['far'].auroc
  assert 'The negative log likelihood misleads' in page
  assert f'in {100 * (1 - auroc):.0f} of 100 cases' in page


def test_the_report_has_a_table_of_every_score(page, evaluation):
  table = next(
    t for t in Page(page).tables if t[0] == ['score', 'train', 'far', 'near']
  )
  assert [row[0] for row in table[1:]] == [
    'negative log likelihood',
    'coarse',
    'costly',
  ]
  for row, aurocs in zip(table[1:], evaluation.aurocs().values(), strict=True):
    for cell, auroc in zip(row[1:], aurocs.values(), strict=True):
      for key in ('auroc', 'lower', 'upper'):
        assert f'{getattr(auroc, key):.3f}' in cell


def test_figures_are_files_too(report, page):
  paths = list((report / 'figures').iterdir())
  assert len(paths) == len(Page(page).images)
  for path in paths:
    assert path.read_bytes().startswith(b'\x89PNG')
  assert {path.stem for path in paths} >= {
    f'{score}_{figure}'
    for score in ('negative_log_likelihood', 'coarse', 'costly')
    for figure in ('histogram', 'roc')
  } | {'line', 'p_values', 'typicality_rejected'}


def test_a_single_score_is_compared_with_nothing(tmp_path):
  evaluation = _evaluation()
  evaluation.scores = {'coarse': evaluation.scores['coarse']}
  evaluation.p_values = {'coarse': evaluation.p_values['coarse']}
  page = Page(open(evaluation.write_report(tmp_path), encoding='utf-8').read())
  assert not any(text.startswith('Beside') for text in page.headings)


@pytest.mark.parametrize('training', [None, 'train'])
def test_a_report_of_in_distribution_data_alone(tmp_path, training):
  evaluation = _evaluation()
  evaluation.out_of_distribution, evaluation.training = [], training
  path = evaluation.write_report(tmp_path)
  page = Page(open(path, encoding='utf-8').read())
  assert 'Score by score' in page.headings
  evaluation.save(tmp_path)
  loaded = tfp_ood.evaluation.Evaluation.load(tmp_path)
  assert loaded.summary() == evaluation.summary()
