#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/app.hpp"
#include "experiments/experiment.hpp"

namespace attention::cli {
namespace {

/// What can follow a verb: its options, and its names if it has any.
struct Words {
  std::string verb;
  std::string description;
  std::vector<std::string> options;
  std::vector<std::string> names;
};

std::vector<Words> words_of(const CLI::App& app) {
  std::vector<Words> all;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    Words words{.verb = verb->get_name(),
                .description = verb->get_description(),
                .options = {},
                .names = {}};
    for (const CLI::Option* option : verb->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        words.options.push_back("--" + name);
      }
    }
    if (words.verb == "experiment") {
      words.names = {"all"};
      for (const auto& experiment : experiments::all_experiments()) {
        words.names.push_back(experiment.name);
      }
    } else if (words.verb == "completion") {
      words.names = {"bash", "zsh", "fish"};
    }
    all.push_back(std::move(words));
  }
  return all;
}

std::string bash_script(const std::vector<Words>& all) {
  std::string verbs;
  std::string cases;
  for (const Words& words : all) {
    verbs += (verbs.empty() ? "" : " ") + words.verb;
    cases += fmt::format("    {}) options='{}'; names='{}' ;;\n", words.verb,
                         fmt::join(words.options, " "), fmt::join(words.names, " "));
  }
  return fmt::format(R"(# bash completion of attention: source <(attention completion bash)
_attention() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} options='' names=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- "$current")
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$names" -- "$current"; compgen -f -- "$current")
  fi
}}
complete -o filenames -F _attention attention
)",
                     verbs, cases);
}

std::string zsh_script(const std::vector<Words>& all) {
  std::string verbs;
  std::string cases;
  for (const Words& words : all) {
    verbs += fmt::format("    '{}:{}'\n", words.verb, words.description);
    cases += fmt::format("    {}) words_of=({} {}) ;;\n", words.verb, fmt::join(words.options, " "),
                         fmt::join(words.names, " "));
  }
  return fmt::format(R"(#compdef attention
# zsh completion of attention: source <(attention completion zsh)
_attention() {{
  local -a verbs words_of
  verbs=(
{}  )
  if (( CURRENT == 2 )); then
    _describe 'verb' verbs
    return
  fi
  case ${{words[2]}} in
{}  esac
  compadd -- $words_of
  _files
}}
compdef _attention attention
)",
                     verbs, cases);
}

std::string fish_script(const std::vector<Words>& all) {
  std::string script = "# fish completion of attention: attention completion fish | source\n";
  for (const Words& words : all) {
    script += fmt::format("complete -c attention -n __fish_use_subcommand -a {} -d '{}'\n",
                          words.verb, words.description);
    for (const std::string& option : words.options) {
      script += fmt::format("complete -c attention -n '__fish_seen_subcommand_from {}' -l {}\n",
                            words.verb, option.substr(2));
    }
    if (!words.names.empty()) {
      script += fmt::format("complete -c attention -n '__fish_seen_subcommand_from {}' -a '{}'\n",
                            words.verb, fmt::join(words.names, " "));
    }
  }
  return script;
}

}  // namespace

void add_completion_verb(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("completion", "Print the completion script of a shell");
  verb->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->footer("Example:\n  source <(attention completion bash)");
  verb->callback([shell, &app] {
    const std::vector<Words> words = words_of(app);
    fmt::print("{}", *shell == "bash"  ? bash_script(words)
                     : *shell == "zsh" ? zsh_script(words)
                                       : fish_script(words));
  });
}

}  // namespace attention::cli
