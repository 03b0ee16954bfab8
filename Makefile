# For those who have make; each target is a script or a preset.
.PHONY: run test lint docs bench

run:
	./tools/run

test:
	./tools/test

lint:
	./tools/lint

docs:
	./tools/docs

bench:
	./tools/bench
