package job

import (
	"fmt"
	"path/filepath"
)

// Results says which results a job leaves, and where.
type Results struct {
	Repository string `json:"repository"`          // of constants
	Replace    bool   `json:"replace,omitempty"`   // status files of another profile, or of more of the run
	Report     bool   `json:"report,omitempty"`    // a page of the bad pixels in the work directory
	Products   string `json:"products,omitempty"`  // of a dark run; empty: as the site says
	Short      string `json:"shortname,omitempty"` // of the detector in names of products; empty: looked up
	Tree       string `json:"dark_tree,omitempty"` // where products are written; empty: the repository
}

// Absolute returns the results with paths that hold in every folder.
func (r Results) Absolute() (Results, error) {
	for _, path := range []*string{&r.Repository, &r.Tree} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return r, fmt.Errorf("could not tell where the results go: %w", err)
		}
		*path = abs
	}
	return r, nil
}

// Words returns the flags of reduce in a job script.
func (r Results) Words() []string {
	words := []string{"--repository", r.Repository}
	if r.Replace {
		words = append(words, "--replace")
	}
	if r.Report {
		words = append(words, "--report")
	}
	for _, f := range []struct{ flag, value string }{{"products", r.Products}, {"shortname", r.Short}, {"dark-tree", r.Tree}} {
		if f.value != "" {
			words = append(words, "--"+f.flag+"="+f.value)
		}
	}
	return words
}
