// Package pages puts the reports of package report together: of a work directory, of a run or many runs in the repository, and
// of a campaign, compared with other runs or with the constants in force.
package pages
