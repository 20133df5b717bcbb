// Command mergedeploy merges the status files of a run and deploys them as calibration constants.
package main
