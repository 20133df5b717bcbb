package command

import "github.com/urfave/cli/v2"

// settingFlag is a flag that overrides a setting of the site.
type settingFlag struct {
	*cli.StringFlag
	key string
}

// Setting makes a flag of a command that overrides a setting of the site: key is the setting's key in
// the site file. The command finds the outcome in Env.Site and does not ask for the flag itself.
func Setting(key, name, usage string, aliases ...string) cli.Flag {
	return &settingFlag{&cli.StringFlag{Name: name, Usage: usage, Aliases: aliases, DefaultText: "setting " + key}, key}
}

// Repository is -o, the repository of constants: Env.Site.Repository.
func Repository() cli.Flag {
	return Setting("repository", "repository", "`DIR` of the constants repository", "repo", "o")
}

// CalibDir is -c, the calibration directory that analysis reads: Env.Site.CalibDir.
func CalibDir() cli.Flag {
	return Setting("calib_dir", "calib-dir", "calibration `DIR` that analysis reads", "c")
}
