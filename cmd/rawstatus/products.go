package main

import (
	"context"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rawstatus/internal/command"
	"rawstatus/internal/io/calibws"
	"rawstatus/internal/io/repo"
	"rawstatus/internal/shard/job"
	"rawstatus/internal/shard/plan"
	"rawstatus/internal/shard/reduce"
)

// productFlags say which constants of a dark run are written beside the status.
func productFlags() []cli.Flag {
	return []cli.Flag{
		command.Check(&cli.StringFlag{Name: "products", Usage: "dark: write these `PRODUCTS` as well: pedestals,pixel_rms,pixel_status,pixel_max,pixel_min, or none", DefaultText: "setting products"}, checkProducts),
		&cli.StringFlag{Name: "shortname", Usage: "dark: short `NAME` of the detector in names of products", DefaultText: "that of the calibration database, else the type"},
		&cli.StringFlag{Name: "dark-tree", Usage: "dark: write products into this `DIR`, the panel repository that the detector's dark jobs keep", DefaultText: "the repository"},
	}
}

// noProducts is the word for none where the site file has some.
const noProducts = "none"

func checkProducts(list string) error {
	if list == noProducts {
		return nil
	}
	_, err := repo.ParseProducts(list)
	return err
}

// wantedProducts returns the products that flags or site file ask of a plan. Those of the site file are of dark runs
// only, and quietly none of others.
func wantedProducts(e *environment, results job.Results, p *plan.Plan) (names []repo.Product, err error) {
	list := results.Products
	if list == "" {
		if list = strings.Join(e.Site.Products, ","); list == "" || reduce.CheckProducts(p, repo.DarkSet) != nil {
			return nil, nil
		}
	}
	if list == noProducts {
		return nil, nil
	}
	if names, err = repo.ParseProducts(list); err != nil {
		return nil, err
	}
	return names, reduce.CheckProducts(p, names)
}

// productOptions says which products a reduction writes, and where.
func productOptions(ctx context.Context, e *environment, results job.Results, p *plan.Plan) (opt reduce.ProductOptions, err error) {
	opt.Names, err = wantedProducts(e, results, p)
	if err != nil || len(opt.Names) == 0 {
		return opt, err
	}
	if results.Tree != "" {
		opt.Repo = repo.NewTree(results.Tree, p.Dataset.Type, sitePolicy(e), e.Site.Location())
	}
	if opt.Short = results.Short; opt.Short == "" && p.Dataset.Format != "xtc1" {
		opt.Short = shortName(ctx, e, p)
	}
	return opt, nil
}

// lookupTime bounds how long the database is asked for a name.
const lookupTime = 5 * time.Second

// shortName looks the short name of a detector up in the calibration database; empty where it cannot be read.
func shortName(ctx context.Context, e *environment, p *plan.Plan) string {
	words := []string{strings.ToLower(p.Dataset.Type)}
	for _, panel := range p.Dataset.Panels {
		words = append(words, panel.ID)
	}
	long := strings.Join(words, "_")
	if calibws.CheckLongName(long) != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	s := &calibws.Store{Client: &calibws.Client{ReadURL: e.Site.CalibWS.ReadURL}, DetType: words[0], LongName: long}
	if err := s.Resolve(ctx); err != nil {
		e.Log.Infof("the short name of %s could not be looked up: %v", p.Dataset.Detector, err)
		return ""
	}
	return s.Short()
}
