"""The same numbers in less time: what is written one way for the reader, and this way for the processor.

Each function here has its readable form elsewhere, and a test that holds the two equal
(`tests/diffusion/test_fast.py`):

================================ ==========================================================
here                             as it is written
================================ ==========================================================
`fast.features.cos_and_sin`      cos and sin of x @ frequencies.T
`fast.features.faded_features`   `embeddings.IntegratedFourierFeatures`
`fast.network.predict`           `denoiser.Denoiser.predict_as_written`
`fast.network.at_level`          the same, and its Jacobian's trace by autograd
`fast.gradient`                  autograd of `objectives.loss`
`fast.posterior.posterior`       `density.posterior_as_written`
================================ ==========================================================

`fast.calls` makes one call of many operations, for the threads' sake.
"""
