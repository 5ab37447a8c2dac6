"""Who works on the tasks of a run: this process, processes or machines by way of Dask, or a process
that is watched. Each is a :data:`~mmccd.jobs.run.Runner`.
"""
