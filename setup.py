"""What pyproject.toml cannot say: the optional C extensions."""

from setuptools import Extension, setup

# -ffp-contract=off: raw * factor + offset must be bit-equal on every CPU (no fused multiply-add).
FLAGS = ["-O2", "-std=c11", "-Wall", "-Wextra", "-ffp-contract=off"]

setup(
    ext_modules=[
        Extension(
            "edge_agent.canbus._kernel",
            ["edge_agent/canbus/_kernel.c"],
            extra_compile_args=FLAGS,
            optional=True,  # no compiler: the install succeeds, plain Python does the work
        ),
        Extension(
            "edge_agent.adapters._recvmmsg",
            ["edge_agent/adapters/_recvmmsg.c"],
            extra_compile_args=FLAGS,
            optional=True,
        ),
    ],
)
