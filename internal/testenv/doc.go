// Package testenv lets tests ask what this machine has beyond Go.
//
// A test that needs the shared data set, numpy or a Slurm cluster asks here. Where the thing is absent
// the test is skipped with a sentence that says what it needs, unless RAWSTATUS_TEST_REQUIRE (a comma
// separated list, set by CI after installing everything) names it: then the test fails.
package testenv
