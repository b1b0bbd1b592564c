// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "lib/classify/fate_rule.h"
#include "lib/import/output.h"
#include "lib/sets/explain.h"
#include "lib/sets/ipset.h"
#include "lib/sets/reader.h"

namespace synward {
namespace {

std::string beside(const PlannedSet& set) {
    return set.name + "-new";
}

SetHeader header_of(const PlannedSet& set, const std::string& name) {
    SetHeader header;
    header.name = name;
    header.type = set_kind_type(set.kind);
    header.kind = set.kind;
    header.family = set.family;
    header.elements = static_cast<std::uint32_t>(set.elements());
    header.most = header.elements;
    return header;
}

class Applier {
  public:
    Applier(const Plan& plan, Ipset& ipset, const Fates& fates) : plan_(plan), ipset_(ipset), fates_(fates) {}

    Result<Applied> run(const std::vector<SetHeader>& there, const std::string& name) {
        if (auto done = look(there, name); !done) return tl::unexpected(done.error());
        auto done = fill();
        if (done) done = exchange();
        if (done) done = install_fate_rule(fates_);
        if (!done) {
            take_back();
            return tl::unexpected(done.error());
        }
        // The old entries.
        for (const std::string& set : applied_.replaced) (void)ipset_.run("destroy " + set + "-new");
        return std::move(applied_);
    }

  private:
    Result<void> look(const std::vector<SetHeader>& there, const std::string& name) {
        for (const SetHeader& header : there) {
            const auto planned = std::find_if(plan_.sets.begin(), plan_.sets.end(),
                                              [&](const PlannedSet& set) { return set.name == header.name; });
            if (planned != plan_.sets.end()) {
                if (header.kind != planned->kind || header.family != planned->family)
                    return fail(
                        ErrorCode::busy,
                        fmt::format("the set {} is there and is {}, not {}: destroy it, or choose another "
                                    "--name",
                                    header.name, header.type, set_kind_type(planned->kind)));
                applied_.replaced.push_back(header.name);
            } else if (header.name.size() > name.size() + 2 && header.name.starts_with(name) &&
                       (header.name[name.size()] == '4' || header.name[name.size()] == '6') &&
                       header.name[name.size() + 1] == '-' &&
                       std::isdigit(static_cast<unsigned char>(header.name.back()))) {
                applied_.unused.push_back(header.name);
            }
        }
        return {};
    }

    Result<void> fill() {
        for (const PlannedSet& set : plan_.sets) {
            bool created = false;
            const auto done = each_command(set, beside(set), [&](const std::string& command) -> Result<void> {
                if (const auto ran = ipset_.run(command); !ran)
                    return tl::unexpected(explain(ran.error(), header_of(set, beside(set))));
                if (!created) filled_++;
                created = true;
                return {};
            });
            if (!done) return done;
        }
        return {};
    }

    [[nodiscard]] bool was_there(const PlannedSet& set) const {
        return std::find(applied_.replaced.begin(), applied_.replaced.end(), set.name) !=
               applied_.replaced.end();
    }

    Result<void> exchange() {
        for (const PlannedSet& set : plan_.sets) {
            const auto done = ipset_.run(
                fmt::format("{} {} {}", was_there(set) ? "swap" : "rename", beside(set), set.name));
            if (!done) return tl::unexpected(explain(done.error(), header_of(set, set.name)));
            exchanged_++;
        }
        return {};
    }

    void take_back() {
        for (std::size_t i = 0; i < exchanged_; i++) {
            const PlannedSet& set = plan_.sets[i];
            (void)ipset_.run(
                fmt::format("{} {} {}", was_there(set) ? "swap" : "rename", set.name, beside(set)));
        }
        for (std::size_t i = 0; i < filled_; i++) (void)ipset_.run("destroy " + beside(plan_.sets[i]));
    }

    const Plan& plan_;
    Ipset& ipset_;
    const Fates& fates_;
    Applied applied_;
    std::size_t filled_ = 0;     // sets that were made beside the others
    std::size_t exchanged_ = 0;  // of them, in their place
};

}  // namespace

Result<Applied> apply_plan(const Plan& plan, const std::string& name, const Fates& fates) {
    auto reader = SetReader::open();
    if (!reader) return tl::unexpected(reader.error());
    const auto there = reader->headers();
    if (!there) return tl::unexpected(there.error());
    auto ipset = Ipset::create();
    if (!ipset) return tl::unexpected(ipset.error());
    return Applier(plan, *ipset, fates).run(*there, name);
}

}  // namespace synward
