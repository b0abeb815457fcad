# brs: `make demo` runs the main job, `make test` runs the tests; both set everything up first.
PYTHON ?= python3
BRS := .venv/bin/brs

.PHONY: demo test bench setup setup-dev lint lock clean

demo: setup
	@$(BRS) demo $(ARGS)

# Tests of libraries two at a time; those of nodes run in real time and want the computer alone.
test: setup-dev lint
	@.venv/bin/python -m pytest tests --ignore tests/system -n 2 --dist loadfile $(ARGS); \
	  libraries=$$?; .venv/bin/python -m pytest tests/system $(ARGS) && exit $$libraries

bench: setup
	@$(BRS) bench $(if $(BENCH),--group $(BENCH)) $(ARGS)

lint: setup-dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

setup:
	@$(PYTHON) scripts/setup.py

setup-dev:
	@$(PYTHON) scripts/setup.py --dev

# Needs `uv`: pins all dependencies anew for every supported Python.
lock:
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --universal \
	  --python-version 3.10 --no-emit-index-url --no-annotate --quiet --upgrade \
	  --extra robot --extra sim --extra perception --extra view --extra ml --extra ros --extra build --extra dev \
	  -o requirements/dev.lock
	@# The tests need no GPU: what only PyTorch for CUDA pulls in is left to pip, where it is wanted.
	@sed -i -E '/^(cuda-|nvidia-|triton)/d; s/^(torch==[0-9.]+).*/\1/' requirements/dev.lock
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --universal \
	  --python-version 3.10 --no-emit-index-url --no-annotate --quiet -c requirements/dev.lock \
	  --extra robot --extra sim --extra perception --extra view --extra ros --extra build -o requirements/run.lock
	@UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile pyproject.toml --universal \
	  --python-version 3.10 --no-emit-index-url --no-annotate --quiet \
	  -c requirements/system_ros.in \
	  --extra robot --extra sim --extra perception --extra build --extra dev -o requirements/system_ros.lock

clean:
	rm -rf .venv out ros_ws/build ros_ws/install ros_ws/log
