"""The method as pure functions: schedule, sampler, resampling, radiometry, tiling."""
