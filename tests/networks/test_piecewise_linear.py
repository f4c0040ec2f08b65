# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `PiecewiseLinearNetwork` and `SwitchLayer`, by identities."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry
from tiers import few

from tfp_ood import networks
from tfp_ood.networks.switch_layer import MaxPool, Rectifier

_LABELS = tf.constant([0, 2, 1, 2])

every_classifier = pytest.mark.parametrize('name', list(registry.CLASSIFIERS))
both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))
# What Keras 3 computes is compared by other tests.
keras_3_is_slow = pytest.mark.parametrize(
  'library', ['tf_keras', pytest.param('keras', marks=pytest.mark.slow)]
)
_CHAINS = [n for n, c in registry.CLASSIFIERS.items() if c.is_chain]


def _model(name, library='tf_keras'):
  return registry.shared_classifier(name, library)


@functools.cache
def _network(name, library='tf_keras'):
  return networks.PiecewiseLinearNetwork(_model(name, library))


def _close(actual, expected, tolerance=1e-10):
  np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def _inner(left, right):
  return np.sum(np.reshape(left * right, [len(left), -1]), axis=1)


def _etas(network, rendered):
  """The share of each layer in `eta`, `[batch, num_layers]`."""
  biases, _ = network.biases()
  return np.stack(
    [
      _inner(np.repeat(bias, len(gradient), axis=0), gradient)
      for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
    ],
    axis=1,
  )


# ------------------------------------------------------ the Keras model itself


@every_classifier
@both_libraries
def test_logits_features_and_gradients_are_those_of_the_model(name, library):
  model, network = _model(name, library), _network(name, library)
  x = registry.inputs(network, 4)
  assert network.dtype == tf.float64
  assert network.num_layers == registry.CLASSIFIERS[name].num_layers
  assert len(network.layers) == network.num_layers
  result = network.propagate(x)
  _close(result.logits, model(x, training=False))
  for layer, g, u in zip(
    network.layers, result.features, result.pre_activations, strict=True
  ):
    assert g.shape[1:] == layer.feature_shape
    assert u.shape[1:] == layer.pre_activation_shape
  # The switches that the image sets leave all as it is.
  switches = network.switches(result.pre_activations)
  frozen = network.propagate(x, switches)
  _close(frozen.logits, result.logits)
  for actual, expected in zip(frozen.features, result.features, strict=True):
    _close(actual, expected)
  # The rendering is the gradient of the model's logit; and the logit is
  # class bias + <x, h(0)> + eta.
  with tf.GradientTape() as tape:
    tape.watch(x)
    score = tf.gather(model(x, training=False), _LABELS, batch_dims=1)
  rendered = network.render(_LABELS, switches)
  of_image = network.render(_LABELS, images=x)
  gradient = tape.gradient(score, x)
  _close(rendered.image, gradient)
  _close(of_image.image, gradient)
  _, class_bias = network.biases()
  bias = np.take(class_bias[0], _LABELS)
  eta = _etas(network, rendered).sum(axis=1)
  _close(bias + _inner(x, rendered.image) + eta, score)
  _close(of_image.class_score, score - bias)
  _close(rendered.class_score, eta)
  for attribute in ('features', 'pre_activations'):
    for one, other in zip(
      getattr(rendered, attribute), getattr(of_image, attribute), strict=True
    ):
      _close(one, other)


# Layers that add something other than a bias.
_HAVE_CONSTANTS = {
  'batch normalization',
  'batch normalization, other axes',
  'clipped rectifier',
  'constants',
  'operators',
  'reshape',
}


@pytest.mark.parametrize(
  'name', [n for n in registry.CLASSIFIERS if n not in _HAVE_CONSTANTS]
)
@keras_3_is_slow
def test_eta_is_of_the_gradients_of_the_biases(name, library):
  model, network = _model(name, library), _network(name, library)
  x = registry.inputs(network, 4)
  is_class_bias = [False] * len(model.trainable_variables)
  if model.layers[-1].weights:
    is_class_bias[-1] = model.trainable_variables[-1].shape == [3]
  biases = [
    v
    for v, excluded in zip(
      model.trainable_variables, is_class_bias, strict=True
    )
    if 'bias' in v.name and not excluded
  ]
  rendered = network.render(_LABELS, images=x)
  etas = _etas(network, rendered).sum(axis=1)
  for index in range(2):
    with tf.GradientTape() as tape:
      one = x[index : index + 1]
      score = model(one, training=False)[0, int(_LABELS[index])]
    variables = [getattr(b, 'value', b) for b in biases]
    if library == 'tf_keras':
      variables = biases
    gradients = tape.gradient(score, variables)
    expected = sum(
      np.sum(variable.numpy() * gradient.numpy())
      for variable, gradient in zip(variables, gradients, strict=True)
      if gradient is not None
    )
    _close(etas[index], expected)


# ------------------------------------------------------- switches of any kind


@every_classifier
@keras_3_is_slow
def test_identities_hold_for_any_switches(name, library):
  network = _network(name, library)
  x = registry.inputs(network, 4, seed=1)
  switches = registry.random_switches(network, 4)
  result = network.propagate(x, switches)
  rendered = network.render(_LABELS, switches)
  _, class_bias = network.biases()
  score = np.take_along_axis(
    (result.logits - class_bias).numpy(), _LABELS[:, None].numpy(), axis=1
  )[:, 0]
  etas = _etas(network, rendered)
  _close(_inner(x, rendered.image) + etas.sum(axis=1), score)
  # What the frozen network makes of the zero image.
  zero = network.propagate(tf.zeros_like(x), switches).logits - class_bias
  _close(tf.gather(zero, _LABELS, batch_dims=1), etas.sum(axis=1))
  # The rendering does not depend on the image that is sent before.
  _close(network.render(_LABELS, switches, x).image, rendered.image)
  if not registry.CLASSIFIERS[name].is_chain:
    return
  # Cut above every layer: what is below is summed up in its features.
  for index in range(network.num_layers):
    below = _inner(result.features[index], rendered.features[index])
    _close(below + etas[:, index + 1 :].sum(axis=1), score)
    below = _inner(
      result.pre_activations[index], rendered.pre_activations[index]
    )
    _close(below + etas[:, index + 1 :].sum(axis=1), score)


@every_classifier
def test_a_rendering_depends_on_the_switches_above_alone(name):
  network = _network(name)
  switches = registry.random_switches(network, 4)
  other = registry.random_switches(network, 4, seed=1)
  features = network.render(_LABELS, switches).features
  for index in range(network.num_layers):
    mixed = [*other[: index + 1], *switches[index + 1 :]]
    _close(network.render(_LABELS, mixed).features[index], features[index])


@pytest.mark.parametrize('name', _CHAINS)
def test_a_layer_with_switches_is_linear(name):
  for layer in _network(name).layers:
    generator = np.random.default_rng(0)
    shape = [3, *layer.pre_activation_shape]
    u, v = (tf.constant(generator.normal(size=shape)) for _ in range(2))
    own = layer.switches(u)
    assert {k: s.dtype for k, s in own.items()} == layer.switch_dtypes
    for switch in own.values():
      assert switch.shape[1:] == layer.feature_shape
    _close(layer.apply_frozen(u, own), layer.apply(u))
    combined = layer.apply_frozen(2 * u - 3 * v, own)
    _close(
      combined, 2 * layer.apply_frozen(u, own) - 3 * layer.apply_frozen(v, own)
    )
    # Its states, one by one.
    states = layer.states(own).numpy()
    assert states.min() >= 0 and states.max() < layer.num_states
    again = layer.switches_of_states(tf.constant(states))
    for key, switch in own.items():
      np.testing.assert_array_equal(again[key], switch)
    values = layer.state_values(u)
    assert values.shape == [3, *layer.feature_shape, layer.num_states]
    _close(
      np.take_along_axis(values.numpy(), states[..., None], axis=-1)[..., 0],
      layer.apply(u),
    )
    for state in range(layer.num_states):
      every = layer.switches_of_states(tf.fill(states.shape, state))
      _close(layer.apply_frozen(u, every), values[..., state])


def test_ties_and_zeros_are_off_and_the_first():
  layer = networks.SwitchLayer(
    [
      Rectifier(0.0, 'relu'),
      MaxPool((2, 2), (2, 2), 'valid', 'pool'),
    ]
  )
  layer.set_shape([2, 2, 1])
  assert layer.has_pool and layer.has_rectifier and layer.num_states == 8
  for value, is_on in ((1.0, True), (0.0, False), (-1.0, False)):
    switches = layer.switches(tf.fill([1, 2, 2, 1], value))
    assert int(switches['position'][0, 0, 0, 0]) == 0
    assert bool(switches['is_on'][0, 0, 0, 0]) == is_on
  u = tf.constant([1.0, 3.0, 3.0, 2.0], shape=[1, 2, 2, 1])
  assert int(layer.switches(u)['position'][0, 0, 0, 0]) == 1


def test_pool_and_rectifier_are_one_layer_only_side_by_side():
  kinds = [
    (layer.has_pool, layer.has_rectifier)
    for layer in _network('concatenation').layers
  ]
  assert kinds == [(False, True), (False, True), (True, False)]
  for name in ('max pool', 'max pool before the rectifier'):
    layer = _network(name).layers[0]
    assert layer.has_pool and layer.has_rectifier


# ---------------------------------------------------- apart from TensorFlow


def _convolution_matrix(kernel, height, width, stride):
  """The matrix of a convolution with the padding SAME, by its definition."""
  size, _, channels, filters = kernel.shape
  out_height, out_width = -(-height // stride), -(-width // stride)
  top = max((out_height - 1) * stride + size - height, 0) // 2
  left = max((out_width - 1) * stride + size - width, 0) // 2
  matrix = np.zeros([out_height, out_width, filters, height, width, channels])
  for row in range(out_height):
    for column in range(out_width):
      for i in range(size):
        for j in range(size):
          y, x = row * stride + i - top, column * stride + j - left
          if 0 <= y < height and 0 <= x < width:
            matrix[row, column, :, y, x] = kernel[i, j].T
  return matrix.reshape(out_height * out_width * filters, -1)


@pytest.mark.parametrize('stride', [1, 2])
def test_a_network_written_again_in_numpy(stride):
  k = tf_keras.layers
  with registry.double_precision():
    model = tf_keras.Sequential(
      [
        k.Input([5, 6, 2]),
        k.Conv2D(3, 3, strides=stride, padding='same', activation='relu'),
        k.MaxPooling2D(),
        k.Flatten(),
        k.Dense(4),
        k.LeakyReLU(0.2),
        k.Dense(3),
      ]
    )
  registry.perturb_weights(model, seed=3)
  kernel, bias_1, matrix_2, bias_2, matrix_3, bias_3 = model.get_weights()
  matrix_1 = _convolution_matrix(kernel, 5, 6, stride)
  height, width = -(-5 // stride), -(-6 // stride)
  bias_1 = np.tile(bias_1, height * width)
  network = networks.PiecewiseLinearNetwork(model)
  x = registry.inputs(network, 1).numpy()
  for label in range(3):
    # Up.
    u_1 = matrix_1 @ x.ravel() + bias_1
    maps = u_1.reshape(height, width, 3)[: height // 2 * 2, : width // 2 * 2]
    windows = maps.reshape(height // 2, 2, width // 2, 2, 3)
    windows = windows.transpose(0, 2, 4, 1, 3).reshape(-1, 4)
    position = windows.argmax(axis=1)
    is_on_1 = windows.max(axis=1) > 0
    g_1 = windows.max(axis=1) * is_on_1
    u_2 = g_1 @ matrix_2 + bias_2
    gate_2 = np.where(u_2 > 0, 1.0, np.float32(0.2))
    logits = (gate_2 * u_2) @ matrix_3 + bias_3
    # Down.
    h_2 = matrix_3[:, label]
    down_2 = gate_2 * h_2
    h_1 = matrix_2 @ down_2
    down_1 = np.zeros([height, width, 3])
    units = np.ndindex(height // 2, width // 2, 3)
    for unit, (row, column, channel) in enumerate(units):
      i, j = divmod(position[unit], 2)
      down_1[2 * row + i, 2 * column + j, channel] = is_on_1[unit] * h_1[unit]
    h_0 = matrix_1.T @ down_1.ravel()
    etas = [bias_1 @ down_1.ravel(), bias_2 @ down_2]
    # The library.
    result = network.propagate(x)
    _close(result.logits[0], logits, 1e-12)
    switches = network.switches(result.pre_activations)
    np.testing.assert_array_equal(np.ravel(switches[0]['position']), position)
    np.testing.assert_array_equal(np.ravel(switches[0]['is_on']), is_on_1)
    rendered = network.render([label], switches)
    _close(np.ravel(rendered.features[1]), h_2, 1e-12)
    _close(np.ravel(rendered.features[0]), h_1, 1e-12)
    _close(rendered.pre_activations[0][0], down_1, 1e-12)
    _close(np.ravel(rendered.image), h_0, 1e-12)
    _close(_etas(network, rendered)[0], etas, 1e-12)


@pytest.mark.parametrize('size', [32, 16, 7])
@pytest.mark.parametrize('padding', ['same', 'valid'])
def test_the_rendering_of_a_convolution_is_its_adjoint(size, padding):
  k = tf_keras.layers
  with registry.double_precision():
    model = tf_keras.Sequential(
      [
        k.Input([size, size, 1]),
        k.Conv2D(2, 3, strides=2, padding=padding, activation='relu'),
        k.Flatten(),
        k.Dense(2),
      ]
    )
  registry.perturb_weights(model)
  network = networks.PiecewiseLinearNetwork(model)
  g = registry.inputs(network, 1).numpy()
  kernel, _, templates, _ = model.get_weights()
  shape = network.layers[0].feature_shape.as_list()
  v = templates[:, 1].reshape(shape)
  # A g, by its definition.
  padded = g[0]
  if padding == 'same':
    total = max((shape[0] - 1) * 2 + 3 - size, 0)
    before, after = total // 2, total - total // 2
    padded = np.pad(padded, [(before, after), (before, after), (0, 0)])
  convolved = np.zeros(shape)
  for row in range(shape[0]):
    for column in range(shape[1]):
      patch = padded[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
      convolved[row, column] = np.tensordot(patch, kernel, axes=3)
  on = [{'is_on': tf.ones([1, *shape], tf.bool)}]
  rendered = network.render([1], on)
  _close(rendered.features[0][0], v)
  _close(np.sum(convolved * v), np.sum(g * rendered.image))


# ----------------------------------- what the theorems say of the best switches


def _scores_of_all(network, x, label):
  """`<x, h(0)> + eta` for all switches, from the renderings."""
  switches = registry.all_switches(network)
  count = len(tf.nest.flatten(switches)[0])
  rendered = network.render(tf.fill([count], label), switches)
  eta = _etas(network, rendered).sum(axis=1)
  repeated = np.repeat(x, count, axis=0)
  return _inner(repeated, rendered.image) + eta, switches


_SMALL = {
  'one layer': lambda seed: registry.dense_classifier([6], seed=seed),
  'two layers': lambda seed: registry.dense_classifier([5, 3], seed=seed),
  'three layers': lambda seed: registry.dense_classifier([3, 3, 3], seed=seed),
  'leaky': lambda seed: registry.dense_classifier([4, 4], slope=0.1, seed=seed),
  'pooled': lambda seed: registry.pooled_classifier((3,), seed=seed),
}


@pytest.mark.parametrize('kind', list(_SMALL))
def test_nonnegative_renderings_make_the_classifiers_switches_the_best(kind):
  for seed in range(3):
    model = registry.nonnegative(_SMALL[kind](seed))
    network = networks.PiecewiseLinearNetwork(model)
    x = registry.inputs(network, 1, seed=seed)
    result = network.propagate(x)
    own = network.switches(result.pre_activations)
    _, class_bias = network.biases()
    best = []
    for label in range(3):
      scores, switches = _scores_of_all(network, x, label)
      best.append(scores.max())
      _close(best[-1], (result.logits - class_bias)[0, label])
      # The best switches are the classifier's wherever it matters.
      winner = [
        tf.nest.map_structure(lambda t: t[np.argmax(scores)], switch)  # noqa: B023
        for switch in switches
      ]
      rendered = network.render([label], own)
      for layer, h, one, other in zip(
        network.layers, rendered.features, winner, own, strict=True
      ):
        live = h[0].numpy() > 1e-12
        is_on = other['is_on'][0].numpy()
        np.testing.assert_array_equal(one['is_on'][live], is_on[live])
        if layer.has_pool:
          live &= is_on
          np.testing.assert_array_equal(
            one['position'][live], other['position'][0][live]
          )
    assert np.argmax(best + class_bias[0]) == np.argmax(result.logits)
    # Without an image: the prior's mode is that of the zero image.
    zero = tf.zeros_like(x)
    scores, _ = _scores_of_all(network, zero, 0)
    logit = (network.propagate(zero).logits - class_bias)[0, 0]
    _close(scores.max(), logit)


@pytest.mark.parametrize('kind', list(_SMALL))
def test_signed_renderings_make_other_switches_better(kind):
  model = _SMALL[kind](4)
  network = networks.PiecewiseLinearNetwork(model)
  x = registry.inputs(network, 1, seed=4)
  _, class_bias = network.biases()
  scores = (network.propagate(x).logits - class_bias)[0].numpy()
  best = np.array([_scores_of_all(network, x, y)[0].max() for y in range(3)])
  assert (best > scores - 1e-12).all()
  assert best.max() > scores[best.argmax()] + 0.1


def test_renderings_that_are_nonnegative_at_the_own_switches_alone():
  """Then no single layer can do better, but all together may."""
  beaten = found = 0
  for seed in range(2000):
    if found == 8:
      break
    generator = np.random.default_rng(seed)
    model = _tiny_signed()
    weights = [generator.normal(0, 0.8, w.shape) for w in model.get_weights()]
    weights[-2] = np.abs(weights[-2])
    model.set_weights(weights)
    network = _tiny_signed_network()
    x = tf.constant(generator.normal(size=[1, 4]))
    result = network.propagate(x)
    own = network.switches(result.pre_activations)
    rendered = network.render([0], own)
    on = sum(int(tf.reduce_sum(tf.cast(s['is_on'], tf.int32))) for s in own)
    if on < 3 or any((h.numpy() < 0).any() for h in rendered.features):
      continue
    found += 1
    scores, switches = _scores_of_all(network, x, 0)
    logit = float((result.logits - network.biases()[1])[0, 0])
    beaten += scores.max() > logit + 1e-9
    for changed in range(2):
      other = own[1 - changed]['is_on'].numpy()
      same = (switches[1 - changed]['is_on'].numpy() == other).all(axis=1)
      assert same.sum() == 2 ** own[changed]['is_on'].shape[1]
      assert scores[same].max() <= logit + 1e-9
  assert found == 8 and beaten > 0


@functools.cache
def _tiny_signed():
  return registry.dense_classifier([4, 3])


@functools.cache
def _tiny_signed_network():
  return networks.PiecewiseLinearNetwork(_tiny_signed())


# -------------------------------------------------------- weights and graphs


@pytest.mark.parametrize(
  'name', ['dense', 'batch normalization', 'nested', 'dropout', 'used twice']
)
def test_the_weights_of_the_model_are_tracked(name):
  for library in registry.LIBRARIES:
    model, network = _model(name, library), _network(name, library)

    def identities(variables, library=library):
      if library == 'keras':
        variables = [getattr(v, 'value', v) for v in variables]
      return {id(v) for v in variables}

    expected = identities(model.trainable_variables)
    actual = [id(v) for v in network.trainable_variables]
    assert len(actual) == len(expected) and set(actual) == expected
    assert identities(model.weights) <= {id(v) for v in network.variables}


@both_libraries
def test_weights_are_shared_not_copied(library):
  model = registry.classifier('batch normalization', library)
  network = networks.PiecewiseLinearNetwork(model)
  x = registry.inputs(network, 2)
  before = network.propagate(x).logits.numpy()
  registry.perturb_weights(model, seed=5)
  after = network.propagate(x).logits
  _close(after, model(x, training=False))
  assert np.abs(after - before).max() > 0.1


@pytest.mark.parametrize(
  # TensorFlow has no second derivative of `UpSampling2D`.
  'name',
  few([n for n in registry.CLASSIFIERS if n != 'upsampling'], 8),
)
def test_renderings_can_be_trained(name):
  """Second derivatives: a loss of the rendering has those of its kernels."""
  network = networks.PiecewiseLinearNetwork(
    registry.classifier(name, 'tf_keras')
  )
  x = registry.inputs(network, 2)
  kernels = [v for v in network.trainable_variables if 'kernel' in v.name]
  if not kernels:
    kernels = network.trainable_variables[:1]

  def loss():
    image = network.render([1, 2], images=x).image
    return tf.reduce_sum(image**2)

  with tf.GradientTape() as tape:
    value = loss()
  gradients = tape.gradient(value, kernels)
  # No switch turns within a small step.
  step = 1e-6
  generator = np.random.default_rng(0)
  directions = [generator.normal(size=v.shape) for v in kernels]
  values = []
  for sign in (1, -2):
    for variable, direction in zip(kernels, directions, strict=True):
      variable.assign_add(sign * step * direction)
    values.append(loss())
  for variable, direction in zip(kernels, directions, strict=True):
    variable.assign_add(step * direction)
  slope = (values[0] - values[1]) / (2 * step)
  expected = sum(
    np.sum(g * d) for g, d in zip(gradients, directions, strict=True)
  )
  np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.parametrize(
  'name', ['dense', 'overlapping max pool', 'residual', 'batch normalization']
)
@keras_3_is_slow
def test_one_trace_for_any_batch(name, library):
  network = _network(name, library)
  shape = [None, *network.input_shape]

  @tf.function(input_signature=[tf.TensorSpec(shape, tf.float64)])
  def run(x):
    result = network.propagate(x)
    switches = network.switches(result.pre_activations)
    labels = tf.argmax(result.logits, axis=-1, output_type=tf.int32)
    rendered = network.render(labels, switches, x)
    return result, rendered

  x = registry.inputs(network, 5)
  for number in (1, 5):
    result, rendered = run(x[:number])
    _close(result.logits, network.propagate(x[:number]).logits)
    labels = np.argmax(result.logits, axis=-1)
    expected = network.render(labels, images=x[:number])
    _close(rendered.image, expected.image)
    _close(rendered.class_score, expected.class_score)
  assert run.experimental_get_tracing_count() == 1


def test_no_inputs_are_a_batch():
  # Not so for images: TensorFlow's convolutions do not take an empty batch.
  network = _network('dense')
  nothing = tf.zeros([0, 5], tf.float64)
  result = network.propagate(nothing)
  assert result.logits.shape == [0, 3]
  switches = network.switches(result.pre_activations)
  rendered = network.render(tf.zeros([0], tf.int32), switches)
  assert rendered.image.shape == [0, 5]


# ------------------------------------------------------------------- errors


@both_libraries
def test_networks_that_are_not_classifiers_are_refused(library):
  library = registry.LIBRARIES[library]
  k = library.layers
  conv = k.Conv2D(3, 3, activation='relu')
  with pytest.raises(ValueError, match=r'one logit per class.*\(1, 4, 4, 3\)'):
    networks.PiecewiseLinearNetwork(
      library.Sequential([k.Input([6, 6, 2]), conv])
    )
  with pytest.raises(ValueError, match=r'one logit per class.*\(1, 1\)'):
    networks.PiecewiseLinearNetwork(
      library.Sequential(
        [k.Input([4]), k.Dense(3, activation='relu'), k.Dense(1)]
      )
    )
  with pytest.raises(ValueError, match='no rectifier and no max pool'):
    networks.PiecewiseLinearNetwork(
      library.Sequential([k.Input([4]), k.Dense(3)])
    )
  with pytest.raises(ValueError, match=r'inputs of one shape.*None, None, 2'):
    networks.PiecewiseLinearNetwork(
      library.Sequential(
        [
          k.Input([None, None, 2]),
          k.Conv2D(3, 3, activation='relu'),
          k.GlobalAveragePooling2D(),
        ]
      )
    )


def test_a_network_without_weights_is_of_float32():
  for library in (tf_keras, keras):
    k = library.layers
    model = library.Sequential(
      [k.Input([4, 4, 3]), k.MaxPooling2D(), k.GlobalAveragePooling2D()]
    )
    network = networks.PiecewiseLinearNetwork(model)
    assert network.dtype == tf.float32
    x = tf.cast(registry.inputs(network, 2), tf.float32)
    _close(network.propagate(x).logits, model(x), 1e-6)
