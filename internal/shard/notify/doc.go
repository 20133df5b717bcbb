// Package notify reports the end of a job to a program or to people of the site: done, failed, refused by the gate of
// deployments, or waiting for a person.
//
// The hook is the site's (section [notify] of the site file): a command, which gets the [Event] as JSON on its standard
// input and its state as the last argument, and addresses that are written to through sendmail. It has a minute; what it
// does changes nothing for the job. An event is told once: notification.json in the directory of the request says which.
package notify
