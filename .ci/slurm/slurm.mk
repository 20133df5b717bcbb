# A real 4-node Slurm cluster for the tests; needs root. Included by the Makefile.
.PHONY: slurm-up slurm-down slurm-test

slurm-up: ## install Slurm from the distribution when missing and start the test cluster
	.ci/slurm/cluster install
	.ci/slurm/cluster up

slurm-down: ## stop the test cluster and remove what it wrote
	.ci/slurm/cluster down

slurm-test: slurm-up ## tests against the real cluster
	RAWSTATUS_TEST_REQUIRE=slurm go test -count=1 -timeout 40m -run 'Slurm' ./internal/testenv/slurmsim ./internal/shard/slurm/... ./internal/shard/campaign/... ./cmd/rawstatus/...
