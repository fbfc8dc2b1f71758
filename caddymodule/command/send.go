package command

import (
	"github.com/spf13/cobra"
)

func newSend() *cobra.Command {
	var secret secretSource
	cmd := &cobra.Command{
		Use:   "send <url>",
		Short: "Sends a delivery as Twenty does",
		Args:  oneArgument("URL"),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			_, err := secret.read(cmd)
			return err
		}),
	}
	secret.addFlags(cmd)
	return cmd
}
