package event

// SampleEvents are names of events that Twenty's own objects have, for lists to
// choose from. There are more: custom objects have events alike.
func SampleEvents() []string {
	var names []string
	for _, object := range []string{"person", "company", "opportunity", "note", "task"} {
		for _, action := range []string{"created", "updated", "deleted", "destroyed", "restored"} {
			names = append(names, object+"."+action)
		}
	}
	for _, name := range []string{"objectMetadata", "fieldMetadata", "view"} {
		for _, operation := range []string{"created", "updated", "deleted"} {
			names = append(names, "metadata."+name+"."+operation)
		}
	}
	return names
}

// sampleFields returns the fields of an object's sample record, and the one that
// an update of it changed.
func sampleFields(object string) (fields jsonObject, changed string) {
	switch object {
	case "person":
		return jsonObject{
			{"name", jsonObject{{"firstName", "Zoë"}, {"lastName", "Sample"}}},
			{"emails", jsonObject{{"primaryEmail", "zoe.sample@example.com"}, {"additionalEmails", jsonList{}}}},
			{"phones", jsonObject{
				{"primaryPhoneNumber", ""}, {"primaryPhoneCountryCode", ""},
				{"primaryPhoneCallingCode", ""}, {"additionalPhones", jsonList{}},
			}},
			{"linkedinLink", sampleLink("")},
			{"jobTitle", "Sample, not a real person"},
			{"city", "東京"},
			{"avatarUrl", ""},
			{"companyId", nil},
		}, "jobTitle"
	case "company":
		return jsonObject{
			{"name", "Sample & Søn, not a real company"},
			{"domainName", sampleLink("https://sample.example.com")},
			{"employees", 42},
			{"address", jsonObject{
				{"addressStreet1", "Straße 1"}, {"addressStreet2", ""}, {"addressCity", "東京"},
				{"addressPostcode", ""}, {"addressState", ""}, {"addressCountry", ""},
				{"addressLat", nil}, {"addressLng", nil},
			}},
			{"annualRecurringRevenue", sampleAmount()},
			{"idealCustomerProfile", false},
			{"accountOwnerId", nil},
		}, "employees"
	case "opportunity":
		return jsonObject{
			{"name", "Sample, not a real opportunity – 東京"},
			{"amount", sampleAmount()},
			{"closeDate", nil},
			{"stage", "NEW"},
			{"pointOfContactId", nil},
			{"companyId", nil},
		}, "stage"
	case "note", "task":
		fields = jsonObject{
			{"title", "Sample, not a real " + object},
			{"bodyV2", jsonObject{{"blocknote", nil}, {"markdown", "A \"sample\" delivery: ünïcödé, 東京, 🎉\n"}}},
		}
		if object == "task" {
			fields = append(fields, jsonMember{"status", "TODO"}, jsonMember{"dueAt", nil}, jsonMember{"assigneeId", nil})
		}
		return fields, "title"
	}
	return jsonObject{{"name", "Sample, not a real " + object + " – 東京"}}, "name"
}

func sampleLink(url string) jsonObject {
	return jsonObject{{"primaryLinkLabel", ""}, {"primaryLinkUrl", url}, {"secondaryLinks", jsonList{}}}
}

func sampleAmount() jsonObject {
	return jsonObject{{"amountMicros", 1500000000}, {"currencyCode", "EUR"}}
}
