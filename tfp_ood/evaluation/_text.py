# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How numbers and names look in tables."""

__all__ = [
  'capitalized',
  'estimate',
  'interval',
  'title',
  'with_deviation',
  'with_error',
]

_NO_BREAK_SPACE = '\u00a0'
_WORDS = ('ELBO', 'KDE', 'KL', 'Markov', 'ODIN', 'PNG', 'SVM', 'WAIC')
_SPELLED = {word.lower(): word for word in _WORDS}


def title(name):
  """Returns the words of a name: `latent_svm` is "latent SVM"."""
  return ' '.join(_SPELLED.get(word, word) for word in name.split('_'))


def capitalized(text):
  """Returns text that begins with a capital letter."""
  return text[:1].upper() + text[1:]


def interval(result):
  """Returns the interval of a result, without line breaks within."""
  return f'[{result.lower:.3f},{_NO_BREAK_SPACE}{result.upper:.3f}]'


def estimate(value, result):
  """Returns a value and its interval."""
  return f'{value:.3f} {interval(result)}'


def with_error(mean, digits=1):
  """Returns a mean and its standard error."""
  return (
    f'{mean["mean"]:.{digits}f} +-{_NO_BREAK_SPACE}'
    f'{mean["standard_error"]:.{digits}f}'
  )


def with_deviation(values, digits=3):
  """Returns the mean of a result over runs, and its deviation if there are several."""
  text = f'{values.mean():.{digits}f}'
  if len(values) < 2:
    return text
  return f'{text} +-{_NO_BREAK_SPACE}{values.std(ddof=1):.{digits}f}'
