// SPDX-License-Identifier: GPL-2.0-or-later
// What the commands about sets share: fates and bound sets of the config, and how what
// they change comes to the driver hook.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/config.h"
#include "lib/result.h"
#include "lib/sets/explain.h"
#include "lib/sets/ipset.h"
#include "lib/sets/reader.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"

namespace synward::cli {

// Of the daemon's config if it runs, else of `given`, else of the usual file, else none.
class SetScene {
  public:
    // An error only for a file that was asked for by name: sets work without any config.
    static Result<SetScene> open(const std::string& given, const Context& context);

    [[nodiscard]] const Config& config() const { return config_; }
    [[nodiscard]] const Fates& fates() const { return config_.classify.fates; }
    [[nodiscard]] bool bound(std::string_view set) const;

    // Where sets act now, after a change of them.
    struct Acting {
        std::vector<std::string> interfaces;  // at whose driver hook
        bool marks = false;                   // new connections get their marks
        std::vector<std::string> notes;       // what an administrator should know
    };
    // After each change of a set, also of one that is in the list that is bound.
    void changed(const std::string& set) { daemon_.set_changed(set); }
    // Without a running daemon this does what it would.
    [[nodiscard]] Acting act();

  private:
    explicit SetScene(const Context& context) : daemon_(context) {}

    DaemonLink daemon_;
    Config config_;
    std::string path_;     // of the config
    std::string problem_;  // of the config in its usual place
};

// Both, or why this host has no sets. libipset is for changing, the reader for reading.
struct SetTools {
    SetReader reader;
    Ipset ipset;
};
[[nodiscard]] Result<SetTools> open_set_tools();

// -c, --config FILE
void add_set_config(CLI::App* command, std::string& path);

[[nodiscard]] std::string family_text(const SetHeader& header);  // "inet", "inet6"; "" for both

}  // namespace synward::cli
